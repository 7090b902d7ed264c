"""The rewriting of a syntax tree for ``instrument.py``: each access becomes a call of ``watching.py``.

==========================  ===========================================
the program's               becomes
==========================  ===========================================
``a.b``                     ``hooks.attr(a, "b")``
``a.b = v``                 ``hooks.setattr_(a, "b", v)``
``a.b += v``                ``hooks.grow(a, "b", v, 1)``, see ``rewrite``
``a[k]``                    ``hooks.item(a, k)``
``a.b(...)``                ``hooks.invoke(a, "b", ...)``
``f(...)``                  ``hooks.call(f, ...)``
``k in a``                  ``hooks.contains(a, k)``
``for x in a``, ``not a``   ``for x in hooks.whole(a)``
``[...]``, ``{...}``        ``hooks.made([...])``
``x`` (nonlocal, global)    ``hooks.seen(resource, x)``
==========================  ===========================================
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

__all__ = ["HOOKS", "rewrite"]

HOOKS = "__liveproof_watching__"
_PLAIN_CALLS = ("super", "locals", "globals", "vars", "isinstance", "issubclass", "callable", "type", "dir")
_Function = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def rewrite(tree: ast.Module, module: str, *, counters: bool) -> ast.Module:
    """The tree with its functions rewritten. Code outside of functions runs once, at import, and is left.

    ``counters``: whether ``a.b += 1`` is one change that commutes with its like. Else it is a look and a change.
    """
    result: ast.Module = _Rewriter(module, _globals_of(tree), counters=counters).visit(tree)
    return ast.fix_missing_locations(result)


def _globals_of(tree: ast.Module) -> dict[str, None]:
    """Names that some function declares global."""
    return {name: None for node in ast.walk(tree) if isinstance(node, ast.Global) for name in node.names}


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's own scope, without those of functions and classes inside."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, (*_Function, ast.ClassDef)):
            yield from _own(child)


class _Scope:
    """A function: which names are its own, and which of them inner functions write."""

    def __init__(self, node: Any, outer: _Scope | None, name: str) -> None:
        self.outer = outer
        self.name = name
        nodes = list(_own(node))
        self.nonlocals = [n for each in nodes if isinstance(each, ast.Nonlocal) for n in each.names]
        self.globals = [n for each in nodes if isinstance(each, ast.Global) for n in each.names]
        arguments = node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        names = [each.arg for each in every if each is not None]
        names += [e.id for e in nodes if isinstance(e, ast.Name) and not isinstance(e.ctx, ast.Load)]
        named = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        names += [e.name for e in nodes if isinstance(e, named)]
        others = (*self.nonlocals, *self.globals)
        self.own = dict.fromkeys(each for each in names if each not in others)
        self.shared: dict[str, None] = {}  # own names that an inner function declares nonlocal
        for name_ in self.nonlocals:
            owner = outer.owner(name_) if outer else None
            if owner is not None:
                owner.shared[name_] = None

    def owner(self, name: str) -> _Scope | None:
        """The function whose variable it is."""
        if name in self.own:
            return self
        return self.outer.owner(name) if self.outer is not None and name not in self.globals else None


def _scopes(node: ast.AST, outer: _Scope | None, found: dict[ast.AST, _Scope]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Function):
            scope = found[child] = _Scope(child, outer, getattr(child, "name", "lambda"))
            _scopes(child, scope, found)
        else:
            _scopes(child, outer, found)


class _Rewriter(ast.NodeTransformer):
    def __init__(self, module: str, shared_globals: dict[str, None], *, counters: bool) -> None:
        self._module = module
        self._counters = counters
        self._globals = shared_globals
        self._found: dict[ast.AST, _Scope] = {}
        self._scope: _Scope | None = None
        self._temporaries = 0

    # ---- building

    def _hook(self, name: str, *args: ast.expr) -> ast.Call:
        return ast.Call(ast.Attribute(ast.Name(HOOKS, ast.Load()), name, ast.Load()), list(args), [])

    def _temporary(self) -> str:
        self._temporaries += 1
        return f"__liveproof_{self._temporaries}"

    def _whole(self, node: ast.expr) -> ast.expr:
        """Already visited; displays and constants need no look."""
        if isinstance(node, (ast.Constant, ast.Compare, ast.JoinedStr)):
            return node
        return self._hook("whole", node)

    def _resource(self, name: str) -> ast.expr | None:
        """Of a variable that functions share; None for any other."""
        scope = self._scope
        if scope is None:
            return None
        owner = scope.owner(name)
        if owner is not None:
            if name not in owner.shared:
                return None
            key: tuple[str, ...] = ("variable", self._module, owner.name, name)
        elif name in self._globals:
            key = ("global", self._module, name)
        else:
            return None
        return ast.Tuple([ast.Constant(part) for part in key], ast.Load())

    # ---- scopes

    def visit_Module(self, node: ast.Module) -> Any:
        _scopes(node, None, self._found)
        for child in node.body:
            self._outside(child)
        return node

    def _outside(self, node: ast.AST) -> None:
        """Module and class bodies: only the functions in them are rewritten."""
        for child in ast.walk(node):
            if isinstance(child, _Function) and self._scope is None and child in self._found:
                if self._found[child].outer is None:
                    self._function(child)

    def _function(self, node: Any) -> None:
        before, self._scope = self._scope, self._found[node]
        if isinstance(node, ast.Lambda):
            node.body = self.visit(node.body)
        else:
            node.body = self._body(node.body)
        self._scope = before

    def _body(self, body: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for statement in body:
            new = self.visit(statement)
            result += new if isinstance(new, list) else [new]
        return result

    def visit_FunctionDef(self, node: Any) -> Any:
        self._function(node)
        return self._stored(node, [node.name])

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        self._function(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        before = self._scope
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _Function):
                self._function(child)
        self._scope = before
        return node

    def visit_arguments(self, node: ast.arguments) -> Any:
        return node

    # ---- statements

    def _stored(self, node: Any, names: list[str]) -> Any:
        """The statement, after notes for the shared variables among the names that it stores."""
        notes = [
            ast.copy_location(ast.Expr(self._hook("wrote", resource)), node)
            for name in names
            if (resource := self._resource(name)) is not None
        ]
        return [*notes, node] if notes else node

    def _target(self, target: ast.expr, after: list[ast.stmt], names: list[str]) -> ast.expr:
        """A target with names only; what sets attributes and items comes after."""
        if isinstance(target, ast.Name):
            names.append(target.id)
            return target
        if isinstance(target, ast.Starred):
            return ast.copy_location(ast.Starred(self._target(target.value, after, names), ast.Store()), target)
        if isinstance(target, (ast.Tuple, ast.List)):
            target.elts = [self._target(each, after, names) for each in target.elts]
            return target
        name = self._temporary()
        after.append(ast.Expr(self._store(target, ast.Name(name, ast.Load()))))
        return ast.copy_location(ast.Name(name, ast.Store()), target)

    def _store(self, target: ast.expr, value: ast.expr) -> ast.expr:
        if isinstance(target, ast.Attribute):
            return self._hook("setattr_", self.visit(target.value), ast.Constant(target.attr), value)
        assert isinstance(target, ast.Subscript)
        return self._hook("setitem", self.visit(target.value), self._index(target.slice), value)

    def visit_Assign(self, node: ast.Assign) -> Any:
        node.value = self.visit(node.value)
        if len(node.targets) == 1 and isinstance(node.targets[0], (ast.Attribute, ast.Subscript)):
            return ast.copy_location(ast.Expr(self._store(node.targets[0], node.value)), node)
        if any(isinstance(each, (ast.Tuple, ast.List)) for each in node.targets):
            node.value = self._whole(node.value)
        after: list[ast.stmt] = []
        names: list[str] = []
        node.targets = [self._target(each, after, names) for each in node.targets]
        stored = self._stored(node, names)
        first = stored if isinstance(stored, list) else [stored]
        return [*first, *(ast.copy_location(each, node) for each in after)]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is None:
            return node
        if isinstance(node.target, ast.Name):
            node.value = self.visit(node.value)
            return self._stored(node, [node.target.id])
        return self.visit_Assign(ast.copy_location(ast.Assign([node.target], node.value), node))

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        value = self._whole(self.visit(node.value))
        if isinstance(node.target, ast.Name):
            resource = self._resource(node.target.id)
            node.value = value
            if resource is None:
                grown = ast.Expr(self._hook("mutated", ast.Name(node.target.id, ast.Load())))
                return [ast.copy_location(grown, node), node]  # a list, say, that has other names, too
            read = ast.Expr(self._hook("seen", resource, ast.Constant(None)))
            stored = self._stored(node, [node.target.id])
            return [ast.copy_location(read, node), *(stored if isinstance(stored, list) else [stored])]
        return self._augmented(node, node.target, value)

    def _augmented(self, node: ast.AugAssign, target: Any, value: ast.expr) -> list[ast.stmt]:
        if self._counters and isinstance(target, ast.Attribute) and isinstance(node.op, (ast.Add, ast.Sub)):
            sign = ast.Constant(1 if isinstance(node.op, ast.Add) else -1)
            grown = self._hook("grow", self.visit(target.value), ast.Constant(target.attr), value, sign)
            return [ast.copy_location(ast.Expr(grown), node)]
        owner, now = self._temporary(), self._temporary()
        load = ast.Name(owner, ast.Load())
        lines: list[ast.stmt] = [ast.Assign([ast.Name(owner, ast.Store())], self.visit(target.value))]
        if isinstance(target, ast.Attribute):
            key: ast.expr = ast.Constant(target.attr)
            get, put = "attr", "setattr_"
        else:
            name = self._temporary()
            lines.append(ast.Assign([ast.Name(name, ast.Store())], self._index(target.slice)))
            key, get, put = ast.Name(name, ast.Load()), "item", "setitem"
        lines.append(ast.Assign([ast.Name(now, ast.Store())], self._hook("whole", self._hook(get, load, key))))
        lines.append(ast.AugAssign(ast.Name(now, ast.Store()), node.op, value))
        lines.append(ast.Expr(self._hook(put, load, key, ast.Name(now, ast.Load()))))
        return [ast.copy_location(each, node) for each in lines]

    def visit_Delete(self, node: ast.Delete) -> Any:
        lines: list[ast.stmt] = []
        for target in node.targets:
            if isinstance(target, ast.Attribute):
                lines.append(ast.Expr(self._hook("delattr_", self.visit(target.value), ast.Constant(target.attr))))
            elif isinstance(target, ast.Subscript):
                lines.append(
                    ast.Expr(self._hook("delitem", self.visit(target.value), self._index(target.slice)))
                )
            else:
                lines.append(ast.Delete([target]))
        return [ast.copy_location(each, node) for each in lines]

    def _loop(self, node: Any) -> Any:
        node.iter = self._whole(self.visit(node.iter))
        after: list[ast.stmt] = []
        names: list[str] = []
        node.target = self._target(node.target, after, names)
        notes = [ast.Expr(self._hook("wrote", r)) for name in names if (r := self._resource(name)) is not None]
        head = [ast.copy_location(each, node) for each in [*after, *notes]]
        node.body = [*head, *self._body(node.body)]
        node.orelse = self._body(node.orelse)
        return node

    visit_For = visit_AsyncFor = _loop

    def _with(self, node: Any) -> Any:
        after: list[ast.stmt] = []
        names: list[str] = []
        for each in node.items:
            each.context_expr = self.visit(each.context_expr)
            if each.optional_vars is not None:
                each.optional_vars = self._target(each.optional_vars, after, names)
        node.body = [*(ast.copy_location(each, node) for each in after), *self._body(node.body)]
        return self._stored(node, names)

    visit_With = visit_AsyncWith = _with

    def _test(self, node: Any) -> Any:
        node.test = self._whole(self.visit(node.test))
        for name in ("body", "orelse"):
            part = getattr(node, name)
            setattr(node, name, self._body(part) if isinstance(part, list) else self.visit(part))
        return node

    visit_If = visit_While = visit_IfExp = _test

    def visit_Match(self, node: ast.Match) -> Any:
        node.subject = self._whole(self.visit(node.subject))
        for case in node.cases:  # patterns are no expressions, though some look like them
            if case.guard is not None:
                case.guard = self._whole(self.visit(case.guard))
            case.body = self._body(case.body)
        return node

    def visit_Assert(self, node: ast.Assert) -> Any:
        node.test = self._whole(self.visit(node.test))
        if node.msg is not None:
            node.msg = self.visit(node.msg)
        return node

    # ---- expressions

    def _index(self, node: ast.expr) -> ast.expr:
        """An index, with slices as the calls that they stand for."""
        if isinstance(node, ast.Slice):
            parts = [self.visit(part) if part else ast.Constant(None) for part in (node.lower, node.upper, node.step)]
            return ast.Call(ast.Name("slice", ast.Load()), parts, [])
        if isinstance(node, ast.Tuple) and any(isinstance(each, ast.Slice) for each in node.elts):
            return ast.Tuple([self._index(each) for each in node.elts], ast.Load())
        visited: ast.expr = self.visit(node)
        return visited

    def visit_Name(self, node: ast.Name) -> Any:
        if not isinstance(node.ctx, ast.Load):
            return node
        resource = self._resource(node.id)
        return node if resource is None else ast.copy_location(self._hook("seen", resource, node), node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> Any:
        node.value = self.visit(node.value)
        resource = self._resource(node.target.id)
        if resource is not None:  # both happen in one step: their order inside is of no account
            node.value = ast.Subscript(
                ast.Tuple([self._hook("wrote", resource), node.value], ast.Load()), ast.Constant(1), ast.Load()
            )
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        value = self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            node.value = value
            return node
        return ast.copy_location(self._hook("attr", value, ast.Constant(node.attr)), node)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        if not isinstance(node.ctx, ast.Load):
            return self.generic_visit(node)
        return ast.copy_location(self._hook("item", self.visit(node.value), self._index(node.slice)), node)

    def visit_Call(self, node: ast.Call) -> Any:
        args = [self._starred(each) for each in node.args]
        keywords = [ast.keyword(each.arg, self.visit(each.value)) for each in node.keywords]
        if isinstance(node.func, ast.Attribute):
            made = self._hook("invoke", self.visit(node.func.value), ast.Constant(node.func.attr), *args)
        elif isinstance(node.func, ast.Name) and node.func.id in _PLAIN_CALLS:
            node.args, node.keywords = args, keywords
            return node
        else:
            made = self._hook("call", self.visit(node.func), *args)
        made.keywords = keywords
        return ast.copy_location(made, node)

    def _starred(self, node: ast.expr) -> ast.expr:
        if isinstance(node, ast.Starred):
            return ast.Starred(self._whole(self.visit(node.value)), ast.Load())
        visited: ast.expr = self.visit(node)
        return visited

    def visit_Compare(self, node: ast.Compare) -> Any:
        left, others = self.visit(node.left), [self.visit(each) for each in node.comparators]
        if len(node.ops) == 1 and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            found = self._hook("contains", others[0], left)
            result = found if isinstance(node.ops[0], ast.In) else ast.UnaryOp(ast.Not(), found)
            return ast.copy_location(result, node)
        if all(isinstance(each, (ast.Is, ast.IsNot)) for each in node.ops):
            node.left, node.comparators = left, others
        elif not any(isinstance(each, ast.Constant) for each in (left, *others)):  # no container equals one
            node.left, node.comparators = self._whole(left), [self._whole(each) for each in others]
        else:
            node.left, node.comparators = left, others
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        node.values = [self._whole(self.visit(each)) for each in node.values]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        node.operand = self._whole(self.visit(node.operand))
        return node

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        node.left, node.right = self._whole(self.visit(node.left)), self._whole(self.visit(node.right))
        if isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant):
            return node
        return ast.copy_location(self._hook("fresh", node), node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Any:
        node.value = self._whole(self.visit(node.value))
        return node

    def _display(self, node: Any) -> Any:
        if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
            return self.generic_visit(node)
        if isinstance(node, (ast.List, ast.Set)):
            node.elts = [self._starred(each) for each in node.elts]
        else:
            node = self.generic_visit(node)
        return ast.copy_location(self._hook("made", node), node)

    visit_List = visit_Dict = visit_Set = _display

    def _comprehension(self, node: Any) -> Any:
        for each in node.generators:
            each.iter = self._whole(self.visit(each.iter))
            each.ifs = [self._whole(self.visit(test)) for test in each.ifs]
        for name in ("elt", "key", "value"):
            if hasattr(node, name):
                setattr(node, name, self.visit(getattr(node, name)))
        return ast.copy_location(self._hook("made", node), node)

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def visit_YieldFrom(self, node: ast.YieldFrom) -> Any:
        node.value = self._whole(self.visit(node.value))
        return node
