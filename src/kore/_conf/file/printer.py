"""Print a configuration as a kore.conf, with all defaults.

Parts that a file cannot express become comments. If leaving one out would protect less, the
statement gets a name that is not defined, so that the printed file is refused when it is loaded.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Final

from kore._conf.diagnostics import escape_text, shorten_path
from kore._conf.file.syntax import quote_word
from kore._conf.route_options import QUERY_METHODS, RegexVerify
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
from kore._conf.server_schema import Address, DomainTls, Server
from kore._conf.settings import SETTINGS
from kore._values.methods import ANY_METHOD, METHODS

# Settings without effect in a file.
OMITTED_SETTINGS = frozenset({"file"})
UNNAMED: Final = "not expressible in a file"

NameOf = Callable[[Callable[..., Any]], str]


@dataclass(slots=True)
class Printer:
    """Prints one configuration, and names its validators and authentications."""

    name_of: NameOf
    rules: dict[ParameterRule, str] = field(default_factory=dict)
    auths: list[tuple[Auth, str]] = field(default_factory=list)
    # The names of the rules.
    taken: set[str] = field(default_factory=set)
    # Parts that a file cannot express, as keys, in order.
    notices: dict[str, None] = field(default_factory=dict)

    def print_config(self, config: Config, imports: Sequence[tuple[str, ...]]) -> str:
        """Return a file that makes *config* again, as far as its functions have names."""
        tls = {(each.server, each.domain): each for each in config.tls}
        domains = [
            line
            for domain in config.domains
            for line in self._print_domain(domain, tls.get((domain.server, domain.name)))
        ]
        lines = [
            *_print_settings(config),
            # Their configuration is in this file.
            *(["python_configure no"] if imports else []),
            *map(_format_statement, imports),
            *self._print_comments(config),
            *_print_privseps(config),
            *(
                _format_statement(("database", each.name, each.connstring))
                for each in config.databases
            ),
            *_print_servers(config.servers),
            *self._print_validators(),
            *self._print_authentications(),
            *domains,
        ]
        return "\n".join(lines) + "\n"

    def _print_comments(self, config: Config) -> Iterator[str]:
        """Yield a comment for each part that modules always configure themselves."""
        for hook in config.prerequests:
            name = self.name_of(hook) or _describe_function(hook)
            yield escape_text(f"# prerequest {name}: set by its module")
        if config.tracer is not None:
            name = self.name_of(config.tracer) or _describe_function(config.tracer)
            yield escape_text(f"# tracer {name}: the same")
        for task in config.tasks:
            yield escape_text(f"# task {getattr(task, '__qualname__', 'a coroutine')}: the same")

    def _print_validators(self) -> Iterator[str]:
        """Yield the validators that routes refer to."""
        if self.rules:
            yield ""
        for rule, name in self.rules.items():
            if rule.text is not None:
                yield _format_statement(("validator", name, "regex", rule.text))
            elif rule.verify is not None:
                yield _format_statement(("validator", name, "function", self.name_of(rule.verify)))

    def _print_authentications(self) -> Iterator[str]:
        """Yield the authentication blocks that routes refer to."""
        for auth, name in self.auths:
            yield ""
            yield f"authentication {quote_word(name)} {{"
            yield f"    authentication_type {auth.kind}"
            if auth.value:
                yield "    " + _format_statement(("authentication_value", auth.value))
            yield "    " + _format_statement(
                ("authentication_validator", self.rules[_build_verify_rule(auth)])
            )
            if auth.redirect:
                yield "    " + _format_statement(("authentication_uri", auth.redirect))
            yield "}"

    def _print_domain(self, domain: Domain, tls: DomainTls | None) -> Iterator[str]:
        """Yield a domain block; *tls*: the TLS part of the domain, if its server has TLS."""
        yield ""
        yield f"domain {quote_word(domain.name)} {{"
        yield "    " + _format_statement(("attach", domain.server))
        if tls is not None:
            yield from ("    " + line for line in _print_tls(tls))
        if log := domain.accesslog:
            yield "    " + _format_statement(("accesslog", log.path, log.format))
        for rule in domain.rules:
            yield "    " + _format_rule(rule)
        for route in domain.routes:
            lines = [self._format_filemap(route)] if route.files else self._print_route(route)
            yield from ("    " + line for line in lines)
        yield "}"

    def _format_filemap(self, route: Route) -> str:
        """Return the statement of a filemap."""
        auth = route.requirements.auth
        words = [] if auth is None else [self._name_authentication(route, auth)]
        return _format_statement(("filemap", route.path, route.files, *words))

    def _print_route(self, route: Route) -> Iterator[str]:
        """Yield a route block. If its handler has no name, the file is refused."""
        yield f"route {quote_word(route.path)} {{"
        if name := self.name_of(route.handler):
            yield "    " + _format_statement(("handler", name))
        else:
            yield "    # handler: " + escape_text(
                self._note_unnamed(route, _describe_function(route.handler))
            )
        if route.methods != tuple(METHODS):
            yield "    " + _format_statement(("methods", *_list_method_words(route.methods)))
        yield from ("    " + line for line in self._print_requirements(route, route.requirements))
        if route.requirements.body_options is not None:
            yield from (
                "    " + line
                for line in self._print_body_options(route, route.requirements.body_options)
            )
        yield from ("    " + line for line in self._print_websocket(route))
        yield "}"

    def _print_body_options(self, route: Route, wanted: BodyOptions) -> Iterator[str]:
        """Yield the hooks and body options of a route. A hook may restrict access."""
        for word in ("on_headers", "on_body_chunk", "on_free"):
            if hook := getattr(wanted, word):
                yield _format_statement(
                    (
                        word,
                        self.name_of(hook) or self._note_unnamed(route, _describe_function(hook)),
                    )
                )
        if wanted.stream:
            yield "stream yes"
        if wanted.body_max is not None:
            yield f"body_max {wanted.body_max}"

    def _print_websocket(self, route: Route) -> Iterator[str]:
        """Yield the WebSocket keywords of a route."""
        for name, given in route.requirements.websocket.items():
            if callable(given):
                found = self.name_of(given) or self._note_unnamed(route, _describe_function(given))
                yield _format_statement(("websocket", name, found))
            elif isinstance(given, tuple):
                yield _format_statement(("websocket", name, *given))
            elif given is not None:
                yield _format_statement(("websocket", name, _format_value(given)))

    def _print_requirements(self, route: Route, requirements: RouteRequirements) -> Iterator[str]:
        """Yield the other statements of a route."""
        if requirements.strict:
            yield "strict yes"
        if requirements.auth is not None:
            yield _format_statement(
                ("authenticate", self._name_authentication(route, requirements.auth))
            )
        if 0 in requirements.parameters:
            why = f"parameters of methods beside {', '.join(METHODS)}, {UNNAMED}"
            yield _format_statement(("validate", "?", "?", self._note_unnamed(route, why)))
        get = requirements.parameters.get(METHODS["GET"], ParameterRules())
        for method in filter(METHODS.__contains__, route.methods):
            declared = requirements.parameters.get(METHODS[method], ParameterRules())
            # HEAD has the parameters of GET; a file cannot express that it has fewer.
            if method == "HEAD" and "GET" in route.methods:
                if declared == get:
                    continue
                if not declared.query:
                    why = f"HEAD without the parameters of GET, {UNNAMED}"
                    yield _format_statement(
                        ("validate", "head", "?", self._note_unnamed(route, why))
                    )
            yield from self._print_parameters(route, method, declared)

    def _print_parameters(
        self, route: Route, method: str, declared: ParameterRules
    ) -> Iterator[str]:
        """Yield the parameters of one method."""
        prefix = "" if method in QUERY_METHODS else "qs:"
        for source, rules in ((prefix, declared.query), ("", declared.body)):
            for parameter, rule in rules.items():
                words = ["validate", f"{source}{method.lower()}", parameter]
                words.append(self._name_validator(route, parameter, rule))
                yield _format_statement(words + ["required"] * (parameter in declared.required))

    def _name_validator(self, route: Route, parameter: str, rule: ParameterRule) -> str:
        """Return the name of a validator, or an undefined name."""
        if rule.text is None and (rule.verify is None or not self.name_of(rule.verify)):
            return self._note_unnamed(route, _describe_function(rule.verify or rule.search))
        return self._name_rule(rule, parameter)

    def _name_rule(self, rule: ParameterRule, base: str) -> str:
        """Return the name of a rule, after naming it if need be."""
        if rule not in self.rules:
            self.rules[rule] = _pick_free_name(base, self.taken)
            self.taken.add(self.rules[rule])
        return self.rules[rule]

    def _name_authentication(self, route: Route, auth: Auth) -> str:
        """Return the name of an authentication block, or an undefined name."""
        for known, name in self.auths:
            if known == auth:
                return name
        base = auth.value.lower() or auth.kind
        rule = _build_verify_rule(auth)
        if rule.text is None and not self.name_of(auth.verify):
            return self._note_unnamed(route, _describe_function(auth.verify))
        self._name_rule(rule, base)
        self.auths.append((auth, _pick_free_name(base, {name for _, name in self.auths})))
        return self.auths[-1][1]

    def _note_unnamed(self, route: Route, what: str) -> str:
        """Add a notice that a part has no name in a file, and return the undefined name."""
        text = what if UNNAMED in what else f"{UNNAMED}: {what}"
        notice = f"route '{route.path}': {text}: the printed file will be refused"
        # Two functions without names may be on one line.
        self.notices[escape_text(notice)] = None
        return text


def _build_verify_rule(auth: Auth) -> ParameterRule:
    """Return the `verify` of an `auth` as a rule, which a validator of a file can express."""
    return (
        auth.verify.rule
        if isinstance(auth.verify, RegexVerify)
        else ParameterRule(verify=auth.verify)
    )


def _pick_free_name(base: str, taken: AbstractSet[str]) -> str:
    """Return *base*, with a number if that is taken."""
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    return name


def _describe_function(function: object) -> str:
    """Return name and place of a function, or the text of a compiled regular expression."""
    name = getattr(function, "__qualname__", None) or type(function).__name__
    pattern = getattr(function, "__self__", None)
    if pattern is not None and hasattr(pattern, "pattern"):
        return f"a compiled regular expression, {pattern.pattern!a}"
    code = getattr(function, "__code__", None)
    place = f" at {shorten_path(code.co_filename)}:{code.co_firstlineno}" if code else ""
    return f"{name.rpartition('.')[2]}{place}"


def _list_method_words(methods: Sequence[str]) -> Iterator[str]:
    """Yield the methods of a route as a file names them; `*` stands for those with a number."""
    implied = METHODS if ANY_METHOD in methods else ()
    yield from (name.lower() for name in methods if name not in implied)


def _format_statement(words: Iterable[str]) -> str:
    """Return a statement as a line."""
    return " ".join(map(quote_word, words))


def _print_settings(config: Config) -> Iterator[str]:
    """Yield all settings."""
    for name in (name for name in SETTINGS if name not in OMITTED_SETTINGS):
        value = getattr(config.settings, name)
        for one in value if isinstance(value, tuple) else (value,):
            yield _format_statement((name, _format_value(one)))


def _format_value(value: object) -> str:
    """Return a value as it is written in a file."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _print_privseps(config: Config) -> Iterator[str]:
    """Yield the privsep blocks."""
    for process in config.privsep:
        yield ""
        yield f"privsep {process.process} {{"
        for keyword in ("root", "runas"):
            if value := getattr(process, keyword):
                yield "    " + _format_statement((keyword, value))
        yield from (f"    skip {what}" for what in process.skip)
        yield "}"


def _print_servers(entries: Sequence[Server]) -> Iterator[str]:
    """Yield the server blocks."""
    for name in dict.fromkeys(server.name for server in entries):
        own = [server for server in entries if server.name == name]
        yield ""
        yield f"server {quote_word(name)} {{"
        for server in own:
            yield "    " + _format_address(server.address)
        yield f"    tls {_format_value(own[0].tls)}"
        if own[0].redirect_https:
            yield "    redirect_https yes"
        yield "}"


def _print_tls(given: DomainTls) -> Iterator[str]:
    """Yield the TLS statements of a domain."""
    for files in given.certificates:
        yield _format_statement(("certfile", files.certificate))
        yield _format_statement(("certkey", files.key))
    if given.client_verify:
        yield _format_statement(("client_verify", *filter(None, (given.client_verify, given.crl))))
        yield f"client_verify_depth {given.verify_depth}"


def _format_address(given: Address) -> str:
    """Return the statement of an address."""
    if given.path:
        return _format_statement(("unix", given.path))
    return _format_statement(("bind", given.ip, str(given.port)))


def _format_rule(rule: RedirectRule) -> str:
    """Return the statement of a redirect or a refusal."""
    if rule.target:
        return _format_statement(("redirect", rule.path, str(rule.status), rule.target))
    return _format_statement(("return", rule.path, str(rule.status)))
