"""Takes secrets out of what a host answers, before the tool sees it."""

from collections.abc import Mapping

_HELD_IN_STEPS_OF = 256
"""Or how much is held back would tell how long a secret is."""


class Echoes:
    """Replaces each needle by what the tool knows in its place.

    Only the forms it is given: a host that transforms a value, by base64 say, is not seen through.
    """

    def __init__(self, replacements: Mapping[bytes, bytes]) -> None:
        # The longest first: at one place, the form that says more wins.
        self._replacements = sorted(replacements.items(), key=lambda pair: -len(pair[0]))
        longest = max(map(len, replacements), default=0)
        self._window = -(-longest // _HELD_IN_STEPS_OF) * _HELD_IN_STEPS_OF
        self._goes_over_lines = any(b"\n" in needle for needle in replacements)
        self._held = b""

    def __bool__(self) -> bool:
        return bool(self._replacements)

    def hidden(self, text: bytes) -> bytes:
        """Of something whole, as a header."""
        for needle, replacement in self._replacements:
            text = text.replace(needle, replacement)
        return text

    def hidden_text(self, text: str) -> str:
        return self.hidden(text.encode(errors="replace")).decode(errors="replace")

    def feed(self, part: bytes) -> bytes:
        """Of a stream: what no needle can reach any more.

        How much that is depends on no needle that is not there whole: who sees that the beginning
        of one is held back, and of another text is not, learns a secret character by character.
        """
        data = self._held + part
        end = max(0, len(data) - self._window)
        if not self._goes_over_lines:
            end = max(end, data.rfind(b"\n") + 1)
        return self._passed_on(data, end)

    def rest(self) -> bytes:
        return self._passed_on(self._held, len(self._held))

    def _passed_on(self, data: bytes, end: int) -> bytes:
        """Up to ``end``, or to the end of the needle that lies across it; the rest is held."""
        done = bytearray()
        start = 0
        # Each form is looked for once per place, or an answer full of one would cost its square.
        places = {needle: data.find(needle) for needle, _ in self._replacements}
        while True:
            for needle, place in places.items():
                if 0 <= place < start:
                    places[needle] = data.find(needle, start)
            found = [one for one in self._replacements if 0 <= places[one[0]] < end]
            if not found:
                break
            needle, replacement = min(found, key=lambda pair: places[pair[0]])
            done += data[start : places[needle]]
            done += replacement
            start = places[needle] + len(needle)
        end = max(start, end)
        done += data[start:end]
        self._held = data[end:]
        return bytes(done)
