"""A configuration as text: what was asked for and all defaults, in the words of kore.conf.

What a file has no words for is a comment, and, where leaving it out would protect less, a name
that nothing defines: such a file is refused when it is loaded.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from kore._conf.file.syntax import quoted
from kore._conf.route_options import ASKING, Matching
from kore._conf.schema import (
    Auth,
    BodyOptions,
    Config,
    Domain,
    ParameterRule,
    ParameterRules,
    RedirectRule,
    Route,
    RouteRequirements,
)
from kore._conf.server_schema import Address, Server
from kore._conf.settings import SETTINGS
from kore._conf.source_location import escaped, shown
from kore._values.methods import METHODS

# Read by whoever starts the server, and of no effect in a file.
LEFT_OUT = frozenset({"file"})
UNNAMED: Final = "not expressible in a file"

NameOf = Callable[[Callable[..., Any]], str]


@dataclass(slots=True)
class Printer:
    """What is printed so far, and the names that validators and authentications were given."""

    name_of: NameOf
    rules: dict[ParameterRule, str] = field(default_factory=dict)
    auths: list[tuple[Auth, str]] = field(default_factory=list)
    # The names of the rules.
    taken: set[str] = field(default_factory=set)
    # What could not be said; as keys, in order.
    notices: dict[str, None] = field(default_factory=dict)

    def text(self, config: Config, imports: Sequence[tuple[str, ...]]) -> str:
        """Return a file that makes *config* again, as far as its functions have names."""
        domains = [line for domain in config.domains for line in self.domain(domain)]
        lines = [
            *settings(config),
            # What they configure is in this file.
            *(["python_configure no"] if imports else []),
            *map(statement, imports),
            *self.left_to_modules(config),
            *privileges(config),
            *(statement(("database", each.name, each.connstring)) for each in config.databases),
            *servers(config.servers),
            *self.validators(),
            *self.authentications(),
            *domains,
        ]
        return "\n".join(lines) + "\n"

    def left_to_modules(self, config: Config) -> Iterator[str]:
        """Yield a comment for each thing that modules say themselves, whoever has the rest."""
        for hook in config.prerequests:
            name = self.name_of(hook) or described(hook)
            yield escaped(f"# prerequest {name}: set by its module")
        if config.tracer is not None:
            name = self.name_of(config.tracer) or described(config.tracer)
            yield escaped(f"# tracer {name}: the same")
        for task in config.tasks:
            yield escaped(f"# task {getattr(task, '__qualname__', 'a coroutine')}: the same")

    def validators(self) -> Iterator[str]:
        """Yield the validators that routes refer to."""
        if self.rules:
            yield ""
        for rule, name in self.rules.items():
            if rule.text is not None:
                yield statement(("validator", name, "regex", rule.text))
            elif rule.verify is not None:
                yield statement(("validator", name, "function", self.name_of(rule.verify)))

    def authentications(self) -> Iterator[str]:
        """Yield the authentication blocks that routes refer to."""
        for auth, name in self.auths:
            yield ""
            yield f"authentication {quoted(name)} {{"
            yield f"    authentication_type {auth.kind}"
            if auth.value:
                yield "    " + statement(("authentication_value", auth.value))
            yield "    " + statement(("authentication_validator", self.rules[verifier(auth)]))
            if auth.redirect:
                yield "    " + statement(("authentication_uri", auth.redirect))
            yield "}"

    def domain(self, domain: Domain) -> Iterator[str]:
        """Yield a domain block."""
        yield ""
        yield f"domain {quoted(domain.name)} {{"
        yield "    " + statement(("attach", domain.server))
        if log := domain.accesslog:
            yield "    " + statement(("accesslog", log.path, log.format))
        for answer in domain.answers:
            yield "    " + answered(answer)
        for route in domain.routes:
            lines = [self.filemap(route)] if route.files else self.route(route)
            yield from ("    " + line for line in lines)
        yield "}"

    def filemap(self, route: Route) -> str:
        """Return the statement of a filemap."""
        auth = route.demands.auth
        words = [] if auth is None else [self.auth(route, auth)]
        return statement(("filemap", route.path, route.files, *words))

    def route(self, route: Route) -> Iterator[str]:
        """Yield a route block. Without a handler it is refused."""
        yield f"route {quoted(route.path)} {{"
        if name := self.name_of(route.handler):
            yield "    " + statement(("handler", name))
        else:
            yield "    # handler: " + escaped(self.unnamed(route, described(route.handler)))
        if len(route.methods) < len(METHODS):
            yield "    " + statement(("methods", *map(str.lower, route.methods)))
        yield from ("    " + line for line in self.demands(route, route.demands))
        if route.demands.extras is not None:
            yield from ("    " + line for line in self.extras(route, route.demands.extras))
        yield from ("    " + line for line in self.websocket(route))
        yield "}"

    def extras(self, route: Route, wanted: BodyOptions) -> Iterator[str]:
        """Yield what a route says of hooks and bodies. A hook may protect it."""
        for word in ("on_headers", "on_body_chunk", "on_free"):
            if hook := getattr(wanted, word):
                yield statement((word, self.name_of(hook) or self.unnamed(route, described(hook))))
        if wanted.stream:
            yield "stream yes"
        if wanted.body_max is not None:
            yield f"body_max {wanted.body_max}"

    def websocket(self, route: Route) -> Iterator[str]:
        """Yield what a route says of its WebSockets."""
        for name, given in route.demands.websocket.items():
            if callable(given):
                found = self.name_of(given) or self.unnamed(route, described(given))
                yield statement(("websocket", name, found))
            elif isinstance(given, tuple):
                yield statement(("websocket", name, *given))
            elif given is not None:
                yield statement(("websocket", name, in_a_file(given)))

    def demands(self, route: Route, demands: RouteRequirements) -> Iterator[str]:
        """Yield what a route demands."""
        if demands.strict:
            yield "strict yes"
        if demands.auth is not None:
            yield statement(("authenticate", self.auth(route, demands.auth)))
        get = demands.declared.get(METHODS["GET"], ParameterRules())
        for method in route.methods:
            declared = demands.declared.get(METHODS[method], ParameterRules())
            # HEAD has what GET has, and a file cannot say that it has less than that.
            if method == "HEAD" and "GET" in route.methods:
                if declared == get:
                    continue
                if not declared.query:
                    why = f"HEAD without the parameters of GET, {UNNAMED}"
                    yield statement(("validate", "head", "?", self.unnamed(route, why)))
            yield from self.declared(route, method, declared)

    def declared(self, route: Route, method: str, declared: ParameterRules) -> Iterator[str]:
        """Yield the parameters of one method."""
        prefix = "" if method in ASKING else "qs:"
        for source, rules in ((prefix, declared.query), ("", declared.body)):
            for parameter, rule in rules.items():
                words = ["validate", f"{source}{method.lower()}", parameter]
                words.append(self.rule(route, parameter, rule))
                yield statement(words + ["required"] * (parameter in declared.required))

    def rule(self, route: Route, parameter: str, rule: ParameterRule) -> str:
        """Return the name of a validator, or one that nothing defines."""
        if rule.text is None and (rule.verify is None or not self.name_of(rule.verify)):
            return self.unnamed(route, described(rule.verify or rule.search))
        return self.rule_name(rule, parameter)

    def rule_name(self, rule: ParameterRule, base: str) -> str:
        """Return the name of a rule, a new one if it has none yet."""
        if rule not in self.rules:
            self.rules[rule] = free(base, self.taken)
            self.taken.add(self.rules[rule])
        return self.rules[rule]

    def auth(self, route: Route, auth: Auth) -> str:
        """Return the name of an authentication block, or one that nothing defines."""
        for known, name in self.auths:
            if known == auth:
                return name
        base = auth.value.lower() or auth.kind
        rule = verifier(auth)
        if rule.text is None and not self.name_of(auth.verify):
            return self.unnamed(route, described(auth.verify))
        self.rule_name(rule, base)
        self.auths.append((auth, free(base, {name for _, name in self.auths})))
        return self.auths[-1][1]

    def unnamed(self, route: Route, what: str) -> str:
        """Take note that something has no name in a file; return what to write instead."""
        text = what if UNNAMED in what else f"{UNNAMED}: {what}"
        notice = f"route '{route.path}': {text}: the printed file will be refused"
        # Two functions without names may stand in one line.
        self.notices[escaped(notice)] = None
        return text


def verifier(auth: Auth) -> ParameterRule:
    """Return what somebody has to fulfil, as a file says it."""
    return (
        auth.verify.rule if isinstance(auth.verify, Matching) else ParameterRule(verify=auth.verify)
    )


def free(base: str, taken: AbstractSet[str]) -> str:
    """Return a name that nothing has."""
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def described(function: object) -> str:
    """Return what somebody would look for who wants to give it a name."""
    name = getattr(function, "__qualname__", None) or type(function).__name__
    pattern = getattr(function, "__self__", None)
    if pattern is not None and hasattr(pattern, "pattern"):
        return f"a compiled regular expression, {pattern.pattern!a}"
    code = getattr(function, "__code__", None)
    place = f" at {shown(code.co_filename)}:{code.co_firstlineno}" if code else ""
    return f"{name.rpartition('.')[2]}{place}"


def statement(words: Iterable[str]) -> str:
    """Return one line."""
    return " ".join(map(quoted, words))


def settings(config: Config) -> Iterator[str]:
    """Yield all settings."""
    for name in (name for name in SETTINGS if name not in LEFT_OUT):
        value = getattr(config.settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            yield statement((name, in_a_file(one)))


def in_a_file(value: object) -> str:
    """Return a value as a file has it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def privileges(config: Config) -> Iterator[str]:
    """Yield the privsep blocks."""
    for process in config.privsep:
        yield ""
        yield f"privsep {process.process} {{"
        for keyword in ("root", "runas"):
            if value := getattr(process, keyword):
                yield "    " + statement((keyword, value))
        yield from (f"    skip {what}" for what in process.skip)
        yield "}"


def servers(entries: Sequence[Server]) -> Iterator[str]:
    """Yield the server blocks."""
    for name in dict.fromkeys(server.name for server in entries):
        own = [server for server in entries if server.name == name]
        yield ""
        yield f"server {quoted(name)} {{"
        for server in own:
            yield "    " + address(server.address)
        yield f"    tls {in_a_file(own[0].tls)}"
        yield "}"


def address(given: Address) -> str:
    """Return one address."""
    if given.path:
        return statement(("unix", given.path))
    return statement(("bind", given.ip, str(given.port)))


def answered(answer: RedirectRule) -> str:
    """Return the statement of a redirect or a refusal."""
    if answer.target:
        return statement(("redirect", answer.path, str(answer.status), answer.target))
    return statement(("return", answer.path, str(answer.status)))
