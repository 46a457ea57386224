"""Claims: predicates over measured servers, and their verdicts.

    amped >= sped within spread
    each.cold.rate >= 4 * sped.cold.rate
    sped >= amped >= mt within spread
    each.hot.served >= 0.99 * each.hot.offered

A term is a number, or a server and a measure, with a factor before it if
wanted; a server alone stands for the claim's own measure.  `each` stands for
each of the servers that the claim names; the claim holds if it does for all.
`within spread` lets a comparison also hold where the two are equal within the
noise: how far the median of their ratios over the repetitions may be off
(stats.scatter), or 5 %, whichever is more.  Where that is over 25 %, nothing is
decided by it.  Of five repetitions and more that all say the same, only 5 % are
noise.

Two servers are compared by the median of their ratios within each repetition,
so that a machine whose speed drifts misleads as little as it can.
"""

import dataclasses
import re

from . import stats
from .trouble import Trouble

TOKEN = re.compile(r"\s*(>=|<=|>|<|\*|[0-9]+(?:\.[0-9]+)?"
                   r"|[A-Za-z][A-Za-z0-9_-]*(?:\.[A-Za-z][A-Za-z0-9_]*)*)")
SUFFIX = re.compile(r"\s+within\s+spread\s*$")
OPPOSITE = {">=": "<=", "<=": ">=", ">": "<", "<": ">"}

HOLDS, EQUAL, FAILS = "holds", "holds within the spread", "does not hold"
NOISY, UNKNOWN = "undecided, it scatters too much", "not measured"


@dataclasses.dataclass(frozen=True)
class Term:
    factor: float
    server: str = ""   # "" is a plain number
    measure: str = ""  # "" is the claim's own

    def __str__(self):
        if not self.server:
            return f"{self.factor:g}"
        name = self.server + (f".{self.measure}" if self.measure else "")
        return name if self.factor == 1 else f"{self.factor:g} * {name}"


@dataclasses.dataclass(frozen=True)
class Predicate:
    """Terms with an operator between each two."""
    terms: tuple
    operators: tuple
    within_spread: bool

    @property
    def servers(self):
        return [t.server for t in self.terms if t.server]


@dataclasses.dataclass
class Verdict:
    verdict: str
    details: list  # sentences


def parse(text):
    """@return the Predicate that a text is."""
    body, within = SUFFIX.subn("", text)
    tokens, at = [], 0
    body = body.rstrip()
    while at < len(body):
        found = TOKEN.match(body, at)
        if not found:
            raise Trouble(f'claim "{text}": what is "{body[at:].strip()}"?')
        tokens.append(found.group(1))
        at = found.end()
    terms, operators = [], []
    while True:
        terms.append(parse_term(tokens, text))
        if not tokens:
            break
        operator = tokens.pop(0)
        if operator not in OPPOSITE:
            raise Trouble(f'claim "{text}": {operator} compares nothing; '
                          f'there are {" ".join(OPPOSITE)}')
        operators.append(operator)
    if not operators or not any(t.server for t in terms):
        raise Trouble(f'claim "{text}": it compares no server')
    return Predicate(tuple(terms), tuple(operators), bool(within))


def parse_term(tokens, text):
    factor = 1.0
    if not tokens:
        raise Trouble(f'claim "{text}": it ends too early')
    token = tokens.pop(0)
    if token[0].isdigit():
        factor = float(token)
        if not tokens or tokens[0] != "*":
            return Term(factor)
        tokens.pop(0)
        if not tokens:
            raise Trouble(f'claim "{text}": it ends too early')
        token = tokens.pop(0)
    if not token[0].isalpha():
        raise Trouble(f'claim "{text}": a server is missing before {token}')
    server, _, measure = token.partition(".")
    return Term(factor, server, measure)


def judge(predicate, values, each=()):
    """The Verdict on a predicate.

    values(server, measure) gives {repetition: value}, empty if there is none;
    each: the servers for which `each` stands.
    """
    if "each" not in predicate.servers:
        return judge_one(predicate, values, None)
    verdicts = [judge_one(predicate, values, server) for server in each]
    details = [line for v in verdicts for line in v.details]
    measured = [v.verdict for v in verdicts if v.verdict != UNKNOWN]
    for worst in (FAILS, NOISY, EQUAL, HOLDS):
        if worst in measured:
            return Verdict(worst, details)
    return Verdict(UNKNOWN, details or ["none of these servers was measured"])


def judge_one(predicate, values, each):
    pairs = zip(predicate.terms, predicate.operators, predicate.terms[1:])
    verdicts = [compare(left, operator, right, predicate.within_spread,
                        values, each) for left, operator, right in pairs]
    details = [line for _, line in verdicts]
    for worst in (UNKNOWN, FAILS, NOISY, EQUAL):
        if worst in [v for v, _ in verdicts]:
            return Verdict(worst, details)
    return Verdict(HOLDS, details)


def compare(left, operator, right, within_spread, values, each):
    """@return (verdict, a sentence with the figures)."""
    sides = []
    for term in (left, right):
        if not term.server:
            sides.append(term.factor)
            continue
        server = each if term.server == "each" else term.server
        found = values(server, term.measure)
        if not found:
            what = f" ({term.measure})" if term.measure else ""
            return UNKNOWN, f"{server} was not measured{what}"
        sides.append({k: v * term.factor for k, v in found.items()})
    names = [str(t).replace("each", each or "") for t in (left, right)]
    above, below = sides
    if isinstance(above, dict) and isinstance(below, dict):
        return compare_servers(above, operator, below, within_spread, names)
    if isinstance(above, dict):
        return compare_number(above, operator, below, names[0])
    return compare_number(below, OPPOSITE[operator], above, names[1])


def fulfils(a, operator, b):
    return {">=": a >= b, "<=": a <= b, ">": a > b, "<": a < b}[operator]


def figure(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def compare_number(values, operator, number, name):
    middle = stats.median(list(values.values()))
    verdict = HOLDS if fulfils(middle, operator, number) else FAILS
    return verdict, f"{name} is {figure(middle)} ({operator} {number:g})"


def compare_servers(above, operator, below, within_spread, names):
    ratios = stats.paired_ratios(above, below)
    a, b = list(above.values()), list(below.values())
    if not ratios:
        # Against nothing: nothing can be divided by it, but compared.
        verdict = fulfils(stats.median(a), operator, stats.median(b))
        return (HOLDS if verdict else FAILS), \
            f"{names[0]} is {figure(stats.median(a))}, " \
            f"{names[1]} is {figure(stats.median(b))}"
    ratio, noise = stats.median(ratios), stats.scatter(ratios)
    if len(ratios) >= stats.MANY and (min(ratios) > 1 or max(ratios) < 1):
        noise = stats.NOISE_FLOOR  # every repetition says the same
    line = (f"{names[0]} / {names[1]} = {figure(ratio)} "
            f"({figure(min(ratios))} to {figure(max(ratios))})")
    if within_spread and abs(ratio - 1) <= noise:
        return (EQUAL if noise <= stats.NOISE_LIMIT else NOISY), \
            f"{line}, noise {noise:.0%}"
    return (HOLDS if fulfils(ratio, operator, 1) else FAILS), line
