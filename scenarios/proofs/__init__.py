"""Small programs of the runtime of which every order is run: proofs, with the assumptions that verdicts name."""
