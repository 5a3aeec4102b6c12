"""Moving a domain: the order of the steps, what stops them, and the way back."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from scripted import failure, respond, shown, success
from worlds import Reply, Through

import cfsso
from cfsso.fleet import Change, Outcome, transfer
from cfsso.fleet import OutcomeStatus as Status

pytestmark = pytest.mark.virtual_time

DOMAIN = "mail.nordwind.example"
LOST = cfsso.APIConnectionError("lost", write=cfsso.WriteState.UNKNOWN)
NOT_SENT = cfsso.APIConnectionError("no way", write=cfsso.WriteState.NOT_SENT)
REFUSED = failure(409, {"code": 20006, "message": "held"})
# What is older than that was surely there before, whatever clock dated it.
DAY = 86_400

LOOK = ["list source", "list target"]
DISABLE = ["disable source", "list source"]
ENABLE = ["enable target", "list target"]
BACK = ["list source", "enable source", "list source"]
SETTLE = 5

Step = Reply | Callable[[], Reply | None] | None


@attrs.define
class Move:
    """Two accounts with a domain, replies for some of the steps, and what was asked."""

    cloud: cfsso.CloudflareEmulator
    source: str
    target: str
    replies: dict[str, list[Step]] = attrs.field(factory=dict)
    seen: list[str] = attrs.field(factory=list)
    confirmed: list[Change] = attrs.field(factory=list)

    @classmethod
    def of(cls, source: str | None = "enabled", target: str | None = "verified") -> "Move":
        """Make accounts whose connector is in that state; None: there is none."""
        cloud = cfsso.CloudflareEmulator(rate_limit=None, seed=1)
        move = cls(cloud, cloud.add_account(), cloud.add_account())
        for account, state in ((move.source, source), (move.target, target)):
            cloud.add_connector(account, email_domain="other.example", status="verified")
            if state is not None:
                cloud.add_connector(
                    account,
                    email_domain=DOMAIN,
                    enabled=state == "enabled",
                    status="verified" if state == "enabled" else state,
                )
        cloud.advance(DAY)
        return move

    def reply(self, step: str, *replies: Step) -> "Move":
        """Reply to a step in turn; what is called is asked; None goes through."""
        self.replies[step] = list(replies)
        return self

    def connector(self, account: str) -> cfsso.SSOConnector:
        """Return how the account's connector of the domain really is."""
        (found,) = (one for one in self.cloud.connectors(account) if one.email_domain == DOMAIN)
        return found

    @property
    def enabled(self) -> tuple[bool | None, bool | None]:
        """Whether the domain really is enabled in the source and in the target."""
        return self.connector(self.source).enabled, self.connector(self.target).enabled

    def write(self, account: str, body: dict[str, bool] | None) -> None:
        """Write as somebody else, some seconds later; None deletes."""
        self.cloud.advance(5)
        path = f"/accounts/{account}/sso_connectors/{self.connector(account).id}"
        method = "DELETE" if body is None else "PATCH"
        text = None if body is None else json.dumps(body).encode()
        assert 200 == self.cloud.handle(cfsso.Request(method, path, text)).status

    def rule(self, request: cfsso.Request) -> Reply | None:
        """Reply to *request* if there is a reply left for its step."""
        step = self._step(request)
        self.seen.append(step)
        waiting = self.replies.get(step)
        reply = waiting.pop(0) if waiting else None
        return reply() if callable(reply) else reply

    def _step(self, request: cfsso.Request) -> str:
        side = "source" if request.account_id == self.source else "target"
        if request.method == "GET":
            return f"{'list' if request.path.endswith('sso_connectors') else 'get'} {side}"
        return f"{'enable' if b'true' in (request.body or b'') else 'disable'} {side}"

    async def run(self, domain: str = DOMAIN, **options: Any) -> tuple[Outcome, Outcome]:
        """Transfer the domain."""
        connectors = cfsso.AsyncSSOConnectors(Through(self.cloud, self.rule))
        options = {"on_confirmed": self.confirmed.append, **options}
        return await transfer(connectors, domain, source=self.source, target=self.target, **options)


def raw(move: Move, account: str) -> dict[str, Any]:
    """Return the account's connector of the domain as the API shows it."""
    path = f"/accounts/{account}/sso_connectors/{move.connector(account).id}"
    found = json.loads(move.cloud.handle(cfsso.Request("GET", path)).body)["result"]
    return dict(found)


def statuses(outcomes: tuple[Outcome, Outcome]) -> list[Status]:
    """Return the statuses alone."""
    return [outcome.status for outcome in outcomes]


async def test_a_domain_is_moved_step_by_step() -> None:
    """Each write is confirmed by a list before the next one, and both by one after the last."""
    move = Move.of()

    outcomes = await move.run()

    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)
    assert [*LOOK, *DISABLE, *ENABLE, "list source"] == move.seen
    assert (False, True) == move.enabled


async def test_what_the_outcomes_tell() -> None:
    """Outcomes have the change, the connector before and after, and the count of writes."""
    move = Move.of()
    before = [move.connector(move.source), move.connector(move.target)]

    outcomes = await move.run()

    assert before == [outcome.before for outcome in outcomes]
    after = [move.connector(move.source), move.connector(move.target)]
    assert after == [outcome.after for outcome in outcomes]
    assert [1, 1] == [outcome.attempts for outcome in outcomes]
    assert [("", None)] * 2 == [(outcome.note, outcome.error) for outcome in outcomes]
    assert [
        Change(move.source, before[0].id, enabled=False),
        Change(move.target, before[1].id, enabled=True),
    ] == [outcome.change for outcome in outcomes]


async def test_each_step_is_told_once_it_is_confirmed() -> None:
    """The watcher learns of each change by the time that a list shows it."""
    move = Move.of()
    told: list[tuple[Change, int]] = []

    outcomes = await move.run(on_confirmed=lambda change: told.append((change, len(move.seen))))

    assert [(outcomes[0].change, 4), (outcomes[1].change, 6)] == told


async def test_a_watcher_that_fails_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """What the watcher raises is logged, and the domain arrives."""

    def fails(_change: Change) -> None:
        raise ZeroDivisionError

    move = Move.of()
    with caplog.at_level(logging.ERROR, "cfsso"):
        outcomes = await move.run(on_confirmed=fails)

    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)
    assert ["on_confirmed failed"] * 2 == [record.message for record in caplog.records]


async def test_nobody_has_to_watch() -> None:
    """A transfer needs no watcher, and the connectors' own one sees all its calls."""
    move = Move.of()
    events: list[cfsso.Event] = []
    connectors = cfsso.AsyncSSOConnectors(Through(move.cloud), on_event=events.append)

    await transfer(connectors, DOMAIN, source=move.source, target=move.target)

    ends = [event.operation for event in events if event.kind is cfsso.EventKind.END]
    assert ["list", "list", "update", "list", "update", "list", "list"] == ends


async def test_both_accounts_are_looked_at_at_once() -> None:
    """The first two lists are under way together."""
    move = Move.of()
    transport = Through(move.cloud)
    connectors = cfsso.AsyncSSOConnectors(transport)

    await transfer(connectors, DOMAIN, source=move.source, target=move.target)

    assert 2 == transport.most


@pytest.mark.parametrize("source", ["verified", "pending", None])
async def test_a_source_with_nothing_to_disable(source: str | None) -> None:
    """A source that is disabled or has no connector is left alone and read back at the end."""
    move = Move.of(source)

    outcomes = await move.run()

    assert [Status.UNCHANGED, Status.CHANGED] == statuses(outcomes)
    assert [*LOOK, *ENABLE, "list source"] == move.seen
    assert [0, 1] == [outcome.attempts for outcome in outcomes]
    assert (source is None) is (outcomes[0].change.sso_connector_id == "")
    assert (source is None) is (outcomes[0].after is None)


@pytest.mark.parametrize("source", ["verified", None])
async def test_a_domain_that_was_moved_before(source: str | None) -> None:
    """If the target has it and the source does not, nothing is written."""
    move = Move.of(source, "enabled")

    outcomes = await move.run()

    assert [Status.UNCHANGED, Status.UNCHANGED] == statuses(outcomes)
    assert LOOK == move.seen
    assert outcomes[1].before == outcomes[1].after is not None


async def test_a_target_that_is_enabled_although_the_source_is_too() -> None:
    """Only what is not as wished is written, and the other account is read after that."""
    move = Move.of("verified", "enabled")
    own = move.connector(move.source)
    both = success([{"id": own.id, "email_domain": DOMAIN, "enabled": True}])
    move.reply("list source", both)

    outcomes = await move.run()

    assert [Status.CHANGED, Status.UNCHANGED] == statuses(outcomes)
    assert [*LOOK, *DISABLE, "list target"] == move.seen


async def test_a_target_that_is_enabled_needs_no_status() -> None:
    """What is enabled was verified, whatever a list says or does not say of it."""
    move = Move.of("verified", "enabled")
    shown = {"id": "b" * 32, "email_domain": DOMAIN, "enabled": True}
    move.reply("list target", success([shown]))

    assert [Status.UNCHANGED, Status.UNCHANGED] == statuses(await move.run())


@pytest.mark.parametrize("domain", ["MAIL.Nordwind.example", "mail.nordwind.EXAMPLE"])
async def test_domains_are_compared_without_case(domain: str) -> None:
    """Any spelling of the domain finds its connectors."""
    assert [Status.CHANGED, Status.CHANGED] == statuses(await Move.of().run(domain))


async def test_domains_are_compared_by_their_a_labels() -> None:
    """A domain in Unicode finds the connectors that are shown with A-labels."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None)
    source, target = cloud.add_account(), cloud.add_account()
    cloud.add_connector(
        source, email_domain="xn--bcher-kva.example", enabled=True, status="verified"
    )
    cloud.add_connector(target, email_domain="b\u00fccher.example", status="verified")
    connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud))

    outcomes = await transfer(connectors, "B\u00fccher.example", source=source, target=target)

    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)


async def test_a_domain_that_only_looks_alike_is_not_moved() -> None:
    """No letter is taken for another one: there is no connector of the domain."""
    cloud = cfsso.CloudflareEmulator(rate_limit=None)
    source, target = cloud.add_account(), cloud.add_account()
    cloud.add_connector(source, email_domain="straße.example", enabled=True, status="verified")
    cloud.add_connector(target, email_domain="straße.example", status="verified")
    connectors = cfsso.AsyncSSOConnectors(cfsso.InMemoryTransport(cloud))

    outcomes = await transfer(connectors, "strasse.example", source=source, target=target)

    assert [Status.BLOCKED, Status.BLOCKED] == statuses(outcomes)
    assert [True] == [connector.enabled for connector in cloud.connectors(source)]


async def test_of_several_connectors_the_one_that_matters_is_taken() -> None:
    """With two for the domain in an account the enabled one counts, then a verified one."""
    move = Move.of("pending", "awaiting")
    for account, enabled in ((move.source, True), (move.target, False)):
        move.cloud.add_connector(account, email_domain=DOMAIN, enabled=enabled, status="verified")

    assert [Status.CHANGED, Status.CHANGED] == statuses(await move.run())


ODD = {"updated_on": 7}


@pytest.mark.parametrize("odd", [{"email_domain": "other.example", **ODD}, {"enabled": 7}])
async def test_what_is_odd_of_another_domain_is_in_nobody_s_way(odd: dict[str, Any]) -> None:
    """It costs no request, however many there are."""
    move = Move.of()
    others = [
        shown(**{"id": f"{n:032}", "email_domain": "other.example", **odd}) for n in range(50)
    ]
    lists = [success([*others, raw(move, move.target)])]
    move.reply("list target", *lists)

    assert [Status.CHANGED, Status.CHANGED] == statuses(await move.run())
    assert [*LOOK, *DISABLE, *ENABLE, "list source"] == move.seen


async def test_an_odd_one_of_the_domain_is_read_by_itself() -> None:
    """What a list shows in part only may be whole by itself; once a list is enough."""
    move = Move.of()
    move.reply("list target", *[lambda: success([{**raw(move, move.target), **ODD}])] * 2)

    assert [Status.CHANGED, Status.CHANGED] == statuses(await move.run())
    assert ["get target"] * 2 == [step for step in move.seen if step.startswith("get")]
    assert (False, True) == move.enabled


async def test_an_odd_one_that_can_t_be_read_is_not_moved() -> None:
    """Nothing is written before all is known of both sides."""
    move = Move.of()
    odd = {**raw(move, move.target), **ODD}
    move.reply("list target", success([odd])).reply("get target", success(odd))

    outcomes = await move.run()

    assert [Status.NOT_ATTEMPTED, Status.FAILED] == statuses(outcomes)
    assert isinstance(outcomes[1].error, cfsso.APIResponseValidationError)
    assert (True, False) == move.enabled


@pytest.mark.parametrize(
    "hidden",
    [
        success([], result_info={"total_count": 3}),
        success(None, result_info={"total_count": 3}),
        success([{"id": None}]),
    ],
    ids=["left out", "null", "no id"],
)
async def test_a_list_that_hides_something_shows_no_absence(hidden: cfsso.Response) -> None:
    """The domain may be among what is hidden; a connector that is known is read by itself."""
    first = await Move.of().reply("list source", hidden).run()
    later = Move.of().reply("list source", None, hidden)
    outcomes = await later.run()

    assert [Status.FAILED, Status.NOT_ATTEMPTED] == statuses(first)
    assert "the domain may be among them" in str(first[0].error)
    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)
    assert 1 == later.seen.count("get source")


async def test_one_whose_domain_can_t_be_read_may_be_of_any() -> None:
    """An account that has such a one may have the domain."""
    outcomes = await Move.of().reply("list source", success([shown(email_domain=7)])).run()

    assert [Status.FAILED, Status.NOT_ATTEMPTED] == statuses(outcomes)


async def test_what_is_gone_from_a_list_that_hides_something() -> None:
    """What a read of its own does not find is not there."""
    move = Move.of()
    hidden = success([], result_info={"total_count": 3})
    move.reply("list source", None, hidden).reply("get source", failure(404))

    outcomes = await move.run()

    assert Status.CONFLICT is outcomes[0].status
    assert (None, 1) == (outcomes[0].after, outcomes[0].attempts)


async def test_an_account_shown_as_null_has_no_connector() -> None:
    """So there is nothing to move to."""
    outcomes = await Move.of().reply("list target", success(None)).run()

    assert [Status.BLOCKED, Status.BLOCKED] == statuses(outcomes)


async def test_a_connector_without_an_id_may_be_any() -> None:
    """What can't be addressed can't be moved, and the domain may be among them."""
    shown = {"email_domain": DOMAIN, "verification": {"status": "verified"}}
    move = Move.of().reply("list target", success([shown, {"enabled": False}]))

    outcomes = await move.run()

    assert [Status.NOT_ATTEMPTED, Status.FAILED] == statuses(outcomes)
    assert "the list hides 2 of the connectors, and the domain may be among them" == str(
        outcomes[1].error
    )
    assert [] == [step for step in move.seen if "list" not in step]


@pytest.mark.parametrize(
    ("target", "note"),
    [
        (None, "the target has no connector of the domain: create one there and have it verified"),
        ("awaiting", "the target's verification is awaiting: have the domain verified there"),
        ("pending", "the target's verification is pending: have the domain verified there"),
        ("failed", "the target's verification is failed: have the domain verified there"),
    ],
)
async def test_a_target_that_is_not_ready_blocks_both(target: str | None, note: str) -> None:
    """Unless the target is verified nothing is written, and both outcomes say why."""
    move = Move.of("enabled", target)

    outcomes = await move.run()

    assert [Status.BLOCKED, Status.BLOCKED] == statuses(outcomes)
    assert [note, note] == [outcome.note for outcome in outcomes]
    assert LOOK == move.seen
    assert move.connector(move.source) == outcomes[0].before
    assert move.connector(move.source).enabled


@pytest.mark.parametrize(
    ("verification", "said"),
    [({}, "not known"), ({"status": "odd\x1b[2J"}, "odd\\x1b[2J")],
)
async def test_a_verification_that_is_not_understood_blocks(
    verification: dict[str, str], said: str
) -> None:
    """Without a status, or with one of the future, it is not known that enabling can work."""
    move = Move.of()
    shown = {"id": "b" * 32, "email_domain": DOMAIN, "verification": verification}
    move.reply("list target", success([shown]))

    outcomes = await move.run()

    note = f"the target's verification is {said}: have the domain verified there"
    assert [(Status.BLOCKED, note)] * 2 == [(one.status, one.note) for one in outcomes]


@pytest.mark.parametrize("side", ["source", "target"])
async def test_an_account_that_can_not_be_read(side: str) -> None:
    """If either account can't be listed that one has failed, and nothing is written."""
    move = Move.of().reply(f"list {side}", failure(403))

    outcomes = dict(zip(["source", "target"], await move.run(), strict=True))

    failed = outcomes.pop(side)
    (other,) = outcomes.values()
    assert (Status.FAILED, "") == (failed.status, failed.change.sso_connector_id)
    assert isinstance(failed.error, cfsso.PermissionDeniedError)
    assert (Status.NOT_ATTEMPTED, "the other account could not be read") == (
        other.status,
        other.note,
    )
    assert LOOK == move.seen


async def test_both_accounts_can_not_be_read() -> None:
    """Each has its own error."""
    move = Move.of().reply("list source", failure(403)).reply("list target", failure(500))

    outcomes = await move.run()

    assert [Status.FAILED, Status.FAILED] == statuses(outcomes)
    assert [cfsso.PermissionDeniedError, cfsso.InternalServerError] == [
        type(outcome.error) for outcome in outcomes
    ]


@pytest.mark.parametrize(
    ("reply", "attempts"), [(failure(403), 1), (failure(429), 1), (NOT_SENT, 0)]
)
async def test_a_source_that_surely_is_not_disabled(reply: Reply, attempts: int) -> None:
    """If disabling is refused or not sent the target is not written."""
    move = Move.of().reply("disable source", reply)

    outcomes = await move.run()

    assert [Status.FAILED, Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert [*LOOK, *DISABLE] == move.seen
    assert (attempts, 0) == (outcomes[0].attempts, outcomes[1].attempts)
    assert isinstance(outcomes[0].error, cfsso.CfssoError)
    assert "it is not known to be disabled in the other account" == outcomes[1].note
    assert (True, False) == move.enabled
    assert [] == move.confirmed


async def test_a_source_in_doubt() -> None:
    """If it can't be known whether the source is disabled the target is not written."""
    move = Move.of().reply("disable source", LOST, LOST).reply("get source", *[failure(403)] * 9)

    outcomes = await move.run()

    assert [Status.UNKNOWN, Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert (True, False) == move.enabled


async def test_a_source_in_doubt_that_a_list_settles() -> None:
    """If the list shows it disabled the transfer goes on, and may go back as well."""
    move = Move.of().reply("get source", failure(403)).reply("enable target", REFUSED)

    def lose() -> Reply:
        move.write(move.source, {"enabled": False})
        return LOST

    move.reply("disable source", lose)

    outcomes = await move.run()

    assert [Status.FAILED, Status.FAILED] == statuses(outcomes)
    assert outcomes[0].note.startswith("enabled again, since the target could not be: 409 from ")
    assert (True, False) == move.enabled


async def test_a_source_that_somebody_else_writes() -> None:
    """A foreign write that crosses the disabling is a conflict, and is not written over."""
    move = Move.of()

    def cross() -> Reply:
        move.write(move.source, {"use_fedramp_language": True})
        return LOST

    move.reply("disable source", cross)

    outcomes = await move.run()

    assert [Status.CONFLICT, Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert 1 == move.seen.count("disable source")
    assert (True, False) == move.enabled


async def test_a_source_that_was_not_disabled_whatever_was_said() -> None:
    """An answer that a list denies is a conflict, and the target is not written."""
    move = Move.of()
    lie = success({"id": move.connector(move.source).id, "enabled": False})
    move.reply("disable source", lie)

    outcomes = await move.run()

    assert [Status.CONFLICT, Status.NOT_ATTEMPTED] == statuses(outcomes)
    note = "the last read shows other values: look at it, and transfer again"
    assert note == outcomes[0].note
    assert (True, False) == move.enabled


async def test_a_source_that_can_not_be_read_back() -> None:
    """Without a list that shows it disabled the target is not written."""
    move = Move.of().reply("list source", None, respond(b"<html>"))

    outcomes = await move.run()

    assert [Status.UNKNOWN, Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert "it could not be read back: look at it, and transfer again" == outcomes[0].note
    assert isinstance(outcomes[0].error, cfsso.APIResponseValidationError)
    assert outcomes[0].after is None
    assert (False, False) == move.enabled


async def test_a_source_that_was_refused_and_can_not_be_read_back() -> None:
    """What was refused has failed, whether a list says so or not."""
    move = Move.of().reply("disable source", failure(403)).reply("list source", None, NOT_SENT)

    outcomes = await move.run()

    assert [Status.FAILED, Status.NOT_ATTEMPTED] == statuses(outcomes)
    assert isinstance(outcomes[0].error, cfsso.PermissionDeniedError)


async def test_a_source_that_is_deleted_meanwhile() -> None:
    """A connector that is gone after it was disabled was deleted by somebody else."""
    move = Move.of()
    move.reply("list source", None, lambda: move.write(move.source, None))

    outcomes = await move.run()

    assert [Status.CONFLICT, Status.NOT_ATTEMPTED] == statuses(outcomes)
    note = "the last read does not show it: look at it, and transfer again"
    assert (note, None) == (outcomes[0].note, outcomes[0].after)


@pytest.mark.parametrize("reply", [REFUSED, failure(400), NOT_SENT])
async def test_a_target_that_is_refused_gives_it_back(reply: Reply) -> None:
    """If the target surely is not enabled the source is enabled again, and a list confirms it."""
    move = Move.of().reply("enable target", reply)

    outcomes = await move.run()

    assert [Status.FAILED, Status.FAILED] == statuses(outcomes)
    assert [*LOOK, *DISABLE, *ENABLE, *BACK] == move.seen
    error = outcomes[1].error
    assert error is not None
    assert f"enabled again, since the target could not be: {error}" == outcomes[0].note
    assert (2, None) == (outcomes[0].attempts, outcomes[0].error)
    assert outcomes[0].after == move.connector(move.source)
    assert (True, False) == move.enabled
    again = attrs.evolve(outcomes[0].change, enabled=True)
    assert [outcomes[0].change, again] == move.confirmed


async def test_a_target_that_is_refused_and_unreadable_gives_it_back() -> None:
    """A refusal is enough, even if the target can't be read after it."""
    move = Move.of().reply("enable target", REFUSED).reply("list target", None, failure(500))

    assert [Status.FAILED, Status.FAILED] == statuses(await move.run())
    assert (True, False) == move.enabled


async def test_a_target_that_somebody_deleted_gives_it_back() -> None:
    """If the target is gone while its write is in doubt the source is enabled again."""
    move = Move.of()

    def cross() -> Reply:
        move.write(move.target, None)
        return LOST

    move.reply("enable target", cross)

    outcomes = await move.run()

    assert [Status.FAILED, Status.CONFLICT] == statuses(outcomes)
    assert move.connector(move.source).enabled


async def test_a_target_that_somebody_else_wrote_gives_it_back() -> None:
    """A foreign write that leaves the target disabled is not written over."""
    move = Move.of()

    def cross() -> Reply:
        move.write(move.target, {"use_fedramp_language": True})
        return LOST

    move.reply("enable target", cross)

    outcomes = await move.run()

    assert [Status.FAILED, Status.CONFLICT] == statuses(outcomes)
    assert 1 == move.seen.count("enable target")
    assert (True, False) == move.enabled
    assert move.connector(move.target).use_fedramp_language


async def test_a_conflict_that_can_not_be_read_back_stays() -> None:
    """If the target can't be read after a conflict it may be enabled, so nothing goes back."""
    move = Move.of().reply("list target", None, failure(500))

    def cross() -> Reply:
        move.write(move.target, {"use_fedramp_language": True})
        return LOST

    move.reply("enable target", cross)

    outcomes = await move.run()

    assert [Status.CHANGED, Status.CONFLICT] == statuses(outcomes)
    assert (False, False) == move.enabled


async def test_a_target_that_somebody_else_enabled() -> None:
    """If a list shows the target enabled, whoever did it, nothing goes back."""
    move = Move.of()

    def cross() -> Reply:
        move.write(move.target, {"enabled": True})
        return failure(403)

    move.reply("enable target", cross)

    outcomes = await move.run()

    assert [Status.CHANGED, Status.FAILED] == statuses(outcomes)
    assert outcomes[1].after is not None
    assert outcomes[1].after.enabled
    assert (False, True) == move.enabled
    assert "enable source" not in move.seen


async def test_what_was_disabled_before_is_not_enabled() -> None:
    """Only what this transfer disabled is ever enabled again."""
    move = Move.of("verified").reply("enable target", REFUSED)

    outcomes = await move.run()

    assert [Status.UNCHANGED, Status.FAILED] == statuses(outcomes)
    assert [*LOOK, *ENABLE, "list source"] == move.seen
    assert (False, False) == move.enabled


async def test_a_refusal_before_anything_was_sent() -> None:
    """If no write left this machine nothing has to be read back."""
    move = Move.of("verified").reply("enable target", NOT_SENT)

    outcomes = await move.run()

    assert [Status.UNCHANGED, Status.FAILED] == statuses(outcomes)
    assert [*LOOK, *ENABLE] == move.seen


async def test_a_target_whose_answer_was_lost() -> None:
    """A lost answer that reads settle is a change."""
    move = Move.of()

    def lose() -> Reply:
        move.write(move.target, {"enabled": True})
        return LOST

    move.reply("enable target", lose).reply("get target", *[failure(403)] * 9)

    outcomes = await move.run()

    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)
    assert "the answer was lost, a read shows it" == outcomes[1].note
    assert (False, True) == move.enabled


async def test_a_target_whose_write_was_lost_is_written_again() -> None:
    """A write that surely never arrived is sent once more, and counted."""
    move = Move.of().reply("enable target", LOST)

    outcomes = await move.run()

    assert [Status.CHANGED, Status.CHANGED] == statuses(outcomes)
    assert [1, 2] == [outcome.attempts for outcome in outcomes]
    settling = ["enable target", *["get target"] * SETTLE, *ENABLE]
    assert [*LOOK, *DISABLE, *settling, "list source"] == move.seen


async def test_what_was_seen_before_tells_foreign_writes_from_old_ones() -> None:
    """A write shortly before the transfer is no reason to give a lost one up."""
    move = Move.of().reply("enable target", LOST)
    move.write(move.target, {"use_fedramp_language": True})

    assert [Status.CHANGED, Status.CHANGED] == statuses(await move.run())


async def test_a_target_in_doubt_leaves_the_source_disabled() -> None:
    """If it can't be known whether the target is enabled nothing goes back."""
    move = Move.of().reply("enable target", LOST).reply("get target", failure(403))

    outcomes = await move.run()

    assert [Status.CHANGED, Status.UNKNOWN] == statuses(outcomes)
    assert "it may be enabled, or be so later: look at it, and transfer again" == outcomes[1].note
    assert isinstance(outcomes[1].error, cfsso.UnconfirmedWriteError)
    assert (False, False) == move.enabled
    assert "enable source" not in move.seen


async def test_a_target_that_was_not_enabled_whatever_was_said() -> None:
    """An answer that a list denies is a conflict: it may have been undone, so nothing goes back."""
    move = Move.of()
    move.reply("enable target", success({"id": move.connector(move.target).id, "enabled": True}))

    outcomes = await move.run()

    assert [Status.CHANGED, Status.CONFLICT] == statuses(outcomes)
    assert "enable source" not in move.seen
    assert [outcomes[0].change] == move.confirmed


async def test_a_target_that_can_not_be_read_back() -> None:
    """Without a list that shows it the target is not green, and nothing goes back."""
    move = Move.of().reply("list target", None, failure(500))

    outcomes = await move.run()

    assert [Status.CHANGED, Status.UNKNOWN] == statuses(outcomes)
    assert isinstance(outcomes[1].error, cfsso.InternalServerError)
    assert (False, True) == move.enabled


async def test_a_source_that_somebody_wrote_is_not_enabled_again() -> None:
    """If the source was written since we disabled it, it is left as it is."""
    move = Move.of()

    def refuse() -> Reply:
        move.write(move.source, {"use_fedramp_language": True})
        return REFUSED

    move.reply("enable target", refuse)

    outcomes = await move.run()

    assert [Status.CHANGED, Status.FAILED] == statuses(outcomes)
    nobody = "neither account has the domain enabled"
    assert (
        f"not enabled again, since somebody else may have written it meanwhile: {nobody}"
        == outcomes[0].note
    )
    assert nobody == outcomes[1].note
    assert "enable source" not in move.seen


async def test_a_source_that_somebody_enabled_is_a_conflict() -> None:
    """If somebody enabled the source meanwhile, the target is refused and the source stays so."""
    move = Move.of()

    def cross() -> None:
        move.write(move.source, {"enabled": True})

    move.reply("enable target", cross)

    outcomes = await move.run()

    assert [Status.CONFLICT, Status.FAILED] == statuses(outcomes)
    assert isinstance(outcomes[1].error, cfsso.ConflictError)
    assert outcomes[0].after == move.connector(move.source)
    assert outcomes[0].note.endswith(": look at it, and transfer again")
    assert (True, False) == move.enabled
    assert "enable source" not in move.seen


async def test_a_source_that_was_deleted_is_not_enabled_again() -> None:
    """What is gone can't be enabled again, and was somebody else's doing."""
    move = Move.of()

    def refuse() -> Reply:
        move.write(move.source, None)
        return REFUSED

    move.reply("enable target", refuse)

    outcomes = await move.run()

    assert [Status.CONFLICT, Status.FAILED] == statuses(outcomes)
    assert outcomes[0].after is None


async def test_without_a_time_of_the_last_write_nothing_goes_back() -> None:
    """If no answer says when the source was written it can't be known that nobody else did."""
    move = Move.of().reply("enable target", REFUSED)
    shown = {"id": move.connector(move.source).id, "enabled": False}
    move.reply("disable source", lambda: _done(move, success(shown)))
    move.reply("list source", None, success([shown]), success([shown]))

    outcomes = await move.run()

    assert [Status.CHANGED, Status.FAILED] == statuses(outcomes)
    assert "enable source" not in move.seen


async def test_the_list_tells_the_time_that_the_answer_does_not() -> None:
    """If only the list says when the source was written, that counts."""
    move = Move.of().reply("enable target", REFUSED)
    shown = {"id": move.connector(move.source).id, "enabled": False}
    move.reply("disable source", lambda: _done(move, success(shown)))

    assert [Status.FAILED, Status.FAILED] == statuses(await move.run())
    assert (True, False) == move.enabled


def _done(move: Move, reply: Reply) -> Reply:
    """Disable the source for real, but answer with *reply*."""
    move.write(move.source, {"enabled": False})
    return reply


async def test_a_source_that_can_not_be_read_is_not_enabled_again() -> None:
    """Without a look at the source nothing is written there."""
    move = Move.of().reply("enable target", REFUSED).reply("list source", None, None, failure(500))

    outcomes = await move.run()

    assert [Status.UNKNOWN, Status.FAILED] == statuses(outcomes)
    assert (
        "not enabled again, since it could not be read back: look at it, and transfer again"
        == outcomes[0].note
    )
    assert isinstance(outcomes[0].error, cfsso.InternalServerError)
    assert "enable source" not in move.seen


async def test_a_source_that_can_not_be_enabled_again() -> None:
    """If the way back is refused too, both outcomes say that nobody has the domain enabled."""
    move = Move.of().reply("enable target", REFUSED).reply("enable source", failure(403))

    outcomes = await move.run()

    nobody = "neither account has the domain enabled"
    assert [Status.CHANGED, Status.FAILED] == statuses(outcomes)
    assert [f"it could not be enabled again: {nobody}", nobody] == [one.note for one in outcomes]
    assert isinstance(outcomes[0].error, cfsso.PermissionDeniedError)
    assert 2 == outcomes[0].attempts
    assert (False, False) == move.enabled


async def test_a_way_back_in_doubt() -> None:
    """If it can't be known whether the source is enabled again it is unknown."""
    move = Move.of().reply("enable target", REFUSED).reply("enable source", LOST)
    move.reply("get source", failure(403))

    outcomes = await move.run()

    assert [Status.UNKNOWN, Status.FAILED] == statuses(outcomes)
    assert isinstance(outcomes[0].error, cfsso.UnconfirmedWriteError)


async def test_a_way_back_that_a_list_denies() -> None:
    """An answer that says enabled where a list says disabled is no way back."""
    move = Move.of().reply("enable target", REFUSED)
    lie = success({"id": move.connector(move.source).id, "enabled": True})
    move.reply("enable source", lie)

    outcomes = await move.run()

    assert [Status.UNKNOWN, Status.FAILED] == statuses(outcomes)
    assert outcomes[0].note.startswith("it could not be enabled again")


@pytest.mark.parametrize("reply", [None, failure(403)])
async def test_a_way_back_that_can_not_be_read(reply: Reply | None) -> None:
    """Without a last list it is unknown how the source is, and the error says why."""
    move = Move.of().reply("enable target", REFUSED).reply("enable source", reply)
    move.reply("list source", None, None, None, failure(500))

    outcomes = await move.run()

    assert [Status.UNKNOWN, Status.FAILED] == statuses(outcomes)
    kind = cfsso.InternalServerError if reply is None else cfsso.PermissionDeniedError
    assert isinstance(outcomes[0].error, kind)
    assert outcomes[0].note.startswith("it was to be enabled again, and it could not be read back")


async def test_a_source_that_changes_after_the_last_write() -> None:
    """Green is what the very last list shows."""
    move = Move.of()

    def cross() -> None:
        move.write(move.target, {"enabled": False})
        move.write(move.source, {"enabled": True})

    move.reply("list source", None, None, cross)

    outcomes = await move.run()

    assert [Status.CONFLICT, Status.CHANGED] == statuses(outcomes)


async def test_a_source_that_can_not_be_read_at_the_end() -> None:
    """Without the last list the source is not green."""
    move = Move.of().reply("list source", None, None, failure(500))

    assert [Status.UNKNOWN, Status.CHANGED] == statuses(await move.run())


async def test_a_connector_that_appears_in_the_source() -> None:
    """A source that had no connector must not have an enabled one at the end."""
    move = Move.of(None)
    made = {"id": "c" * 32, "email_domain": DOMAIN, "enabled": True}
    move.reply("list source", None, success([made]))

    assert [Status.CONFLICT, Status.CHANGED] == statuses(await move.run())


@pytest.mark.parametrize("stuck", ["disable source", "enable target"])
async def test_a_cancelled_transfer_goes_on_when_it_is_run_again(stuck: str) -> None:
    """A cancellation passes at once, nothing more is sent, and the next run ends the move."""
    move = Move.of()
    before = asyncio.all_tasks()

    class Stuck(Through):
        async def send(self, request: cfsso.Request) -> cfsso.Response:
            response = await super().send(request)
            if move.seen[-1] == stuck:
                await asyncio.Event().wait()
            return response

    connectors = cfsso.AsyncSSOConnectors(Stuck(move.cloud, move.rule))
    task = asyncio.create_task(transfer(connectors, DOMAIN, source=move.source, target=move.target))
    await asyncio.sleep(10)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert stuck == move.seen[-1]
    assert before == asyncio.all_tasks()
    assert {Status.CHANGED, Status.UNCHANGED} >= set(statuses(await move.run()))
    assert (False, True) == move.enabled


async def test_waits_for_limits_have_no_bound_unless_given() -> None:
    """The bound that single calls have on waits does not hold here, but one's own does."""
    limited = failure(429, retry_after="300")
    for options, expected in (({}, Status.CHANGED), ({"max_wait": 60.0}, Status.FAILED)):
        move = Move.of().reply("disable source", limited)
        transport = cfsso.RetryingTransport(Through(move.cloud, move.rule))
        connectors = cfsso.AsyncSSOConnectors(transport, max_wait=1.0)
        outcomes = await transfer(
            connectors,
            DOMAIN,
            source=move.source,
            target=move.target,
            **options,  # type: ignore[arg-type] # mypy takes the union for all values
        )
        assert expected is outcomes[0].status


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"email_domain": "localhost"}, "email_domain must be a domain name such as"),
        ({"email_domain": None}, "email_domain must be a str, not NoneType"),
        ({"source": "x"}, "source must be 32 letters and digits, not 1 characters"),
        ({"target": None}, "target must be a str of 32 letters and digits"),
        ({"target": "A" * 32}, "source and target must be two accounts, not one"),
        ({"max_wait": -1.0}, "max_wait must be seconds from 0"),
    ],
)
async def test_bad_arguments_are_refused(arguments: dict[str, Any], problem: str) -> None:
    """What can't be used is refused before anything is sent."""
    transport = Through(cfsso.CloudflareEmulator())
    arguments = {
        "email_domain": DOMAIN,
        "source": "a" * 32,
        "target": "b" * 32,
        **arguments,
    }

    with pytest.raises(cfsso.InvalidRequestError, match=problem):
        await transfer(cfsso.AsyncSSOConnectors(transport), **arguments)
    assert [] == transport.seen
