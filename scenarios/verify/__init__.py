"""The long verification: what ``make verify`` runs, and the page ``reports/verification.md`` that it writes.

``plan`` says what there is to run, ``work`` runs one piece of it, ``crew`` runs them all in a few processes,
``ledger`` keeps the results so that a run can be resumed, and ``page`` writes them down.
"""
