"""Calls that may wait, in the code of the parent: they must not, whatever a path or name is."""

import ast
from collections.abc import Iterator

# Name look-ups, connections, whole files: nothing of this has a form that never waits.
ALWAYS = {
    "check_output", "create_connection", "getfqdn", "gethostbyaddr", "gethostbyname",
    "gethostbyname_ex", "Popen", "read_bytes", "read_text", "sendall", "sleep", "system",
    "write_bytes", "write_text",
}  # fmt: skip
# What has to be among the arguments, or in the function, of calls that may wait without it.
UNLESS = {
    "connect": {"setblocking(False)"},
    "flock": {"LOCK_NB"},
    "getaddrinfo": {"AI_NUMERICHOST"},
    "lockf": {"LOCK_NB"},
    "open": {"O_NONBLOCK", "O_DIRECTORY", "O_TMPFILE", "O_EXCL", "os.devnull"},
    "waitpid": {"WNOHANG"},
}
# Where it is right, and why.
ALLOWED = {
    ("_process.parent.daemon", "start_daemon"): "the command in the terminal, not the parent",
    ("_process.log.writer", "drain"): "at most a second, at the very end",
    ("_http.body.spool_directory", "name"): "in workers only",
    ("_http.body.spool_directory", "_create_locked"): "in workers only",
    ("_process.parent.orphans", "_list_children"): "files of /proc",
    ("_process.parent.orphans", "_is_of_multiprocessing"): "a file of /proc",
    ("_process.parent.orphans", "_read_mark"): "a file of /proc",
    ("_process.ipc.scoreboard", "open_stacks"): "in workers only, a file in memory",
}


def waits(module: str, source: str) -> list[str]:
    """Return a sentence for each call that may wait."""
    tree = ast.parse(source)
    constants = {
        name.id: ast.unparse(node.value)
        for node in tree.body
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None
        for name in ast.walk(node)
        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
    }
    return [
        f"`{module}`, line {call.lineno}: {ast.unparse(call)} may wait"
        for function in functions(tree)
        if (module, function.name) not in ALLOWED
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and may_wait(call, function, constants)
    ]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    """Yield all functions; the code of a module itself makes no calls worth a look."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def may_wait(call: ast.Call, function: ast.FunctionDef, constants: dict[str, str]) -> bool:
    """Return whether a call of the standard library may wait."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ast.unparse(call.func)
    of_ours = isinstance(call.func, ast.Attribute) and "self" in ast.unparse(call.func.value)
    if name in ALWAYS:
        return not of_ours
    if name not in UNLESS or of_ours or ast.unparse(call.func) == "wanted.connect":
        return False
    text = ast.unparse(function if name in {"connect", "getaddrinfo", "open"} else call)
    for _ in range(3):  # a constant may be made of others
        text += "".join(value for constant, value in constants.items() if constant in text)
    return not any(word in text for word in UNLESS[name])
