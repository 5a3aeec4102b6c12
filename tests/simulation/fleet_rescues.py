"""What a revert of a rescue may write, and what it has to."""

from typing import TYPE_CHECKING

from fleet_truth import Program, Sent, Track

if TYPE_CHECKING:
    from fleet_oracle import Oracle

_ENABLED = {"enabled": True}


def may_take_back(oracle: "Oracle", rescue: Program, sent: Sent) -> None:
    """See that a revert writes only what the rescue wrote, and only to enable it."""
    if sent.request.body != b'{"enabled":true}':
        oracle.breaks(sent.process, f"F15 a revert of a rescue writes {sent.request.body!r}")
    told = [str(o.status) for _, o in rescue.outcomes if o.change.sso_connector_id == sent.key]
    # Of what was under way when it was killed nobody can know whether it left.
    may_have = rescue.cut and not told
    if not may_have and not any(own.got_away for own in rescue.writes_of(sent.key)):
        oracle.breaks(sent.process, f"F15 it was no rescue that disabled {sent.request.path}")


def has_taken_back(oracle: "Oracle", rescue: Program, program: Program) -> None:
    """
    See that, with nothing in the way, all is enabled that *rescue* disabled and nobody wrote since.

    Of a rescue that was killed the record may lack what it wrote last.
    """
    for track in oracle.truth.tracks.values():
        since = disabled_since(track, rescue)
        if since is None:
            continue
        if track.id not in program.told:
            oracle.counts["writes of killed rescues that nobody recorded"] += 1
            if not rescue.cut:
                oracle.breaks(program, f"F15 disabled by the rescue, and not known: {track.path}")
            continue
        oracle.counts["connectors enabled again"] += track.now.shows(_ENABLED)
        reverts = {each.number for each in oracle.earlier} | {program.number}
        others = [v for v in track.versions if v.time > since and v.writer not in reverts]
        if not others and not oracle.is_taken(track) and not track.now.shows(_ENABLED):
            oracle.breaks(program, f"F15 disabled by the rescue, and now {track.versions}")


def disabled_since(track: Track, rescue: Program) -> float | None:
    """Return when a rescue has disabled a connector, the last time. ``None``: it has not."""
    own = [
        version.time
        for earlier, version in zip(track.versions, track.versions[1:], strict=False)
        if version.writer == rescue.number
        and earlier.shows(_ENABLED)
        and version.shows({"enabled": False})
    ]
    return own[-1] if own else None
