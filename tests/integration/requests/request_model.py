"""What a request does, said once more and as simply as can be: no workflow, no database.

Written from the words of the design, not from the code: where the two differ, one is wrong.
"""

from dataclasses import dataclass, field

REVIEWERS = ("ana", "rob", "ada")
ADMIN = "ada"
VIEWER = "vic"
PEOPLE = (*REVIEWERS, VIEWER)
TERMINAL = ("applied", "denied", "withdrawn", "superseded", "expired")


@dataclass
class Model:
    """A request of a person, who reviews as well; the answers are states, or names of errors."""

    requester: str
    quorum: int
    separated: bool
    """Nobody decides what they asked for themselves."""
    state: str = "awaiting_decision"
    round: int = 1
    votes: dict[str, str] = field(default_factory=dict[str, str])
    """``{person: verdict}`` of this round, the newest last."""
    events: list[str] = field(default_factory=lambda: ["workflow:opened", "evidence:presented"])

    @property
    def closed(self) -> bool:
        return self.state in TERMINAL

    def decide(self, by: str, verdict: str, *, is_current: bool) -> str:
        """``is_current``: what they saw is what is asked now. A refusal is on the request too."""
        if by not in REVIEWERS or (self.separated and by == self.requester):
            return self._refused("Refused")
        if self.closed:
            return self._refused("RequestFinished")
        if not is_current:
            return self._refused("StaleDigest")
        self.votes.pop(by, None)
        self.votes[by] = verdict
        self.events.append("decision:added")
        return self._count()

    def retract(self, by: str) -> str:
        if self.closed:
            return "RequestFinished"
        if by not in self.votes:
            return "Conflict"
        del self.votes[by]
        self.events.append("decision:retracted")
        return self._count()

    def revise(self, by: str) -> str:
        if self.closed:
            return "NotFound"
        if by != self.requester:
            return "Refused"
        self.round += 1
        self.votes.clear()
        self.events += ["round:opened", "evidence:presented"]
        self.state = "awaiting_decision"
        return self.state

    def comment(self) -> None:
        """Whoever they are, and whatever has become of it."""
        self.events.append("comment:added")

    def withdraw(self, by: str) -> str:
        if self.closed:
            return "RequestFinished"
        if by not in (self.requester, ADMIN):
            return "Refused"
        return self.end("withdrawn")

    def end(self, state: str) -> str:
        """By itself, or because a newer request took its place."""
        if not self.closed:
            self.state = state
            self.events.append("workflow:closed")
        return self.state

    def _refused(self, why: str) -> str:
        self.events.append("decision:refused")
        return why

    def _count(self) -> str:
        given = list(self.votes.values())
        if "deny" in given:
            self.state = "denied"
        elif "request_changes" in given:
            self.state = "changes_requested"
        elif given.count("approve") >= self.quorum:
            self.state = "applied"
            self.events.append("change:applied")
        else:
            self.state = "awaiting_decision"
        return self.state
