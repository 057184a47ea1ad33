"""uvicorn's flow control, with a block on reading that uvicorn cannot lift."""

from __future__ import annotations

from uvicorn.protocols.http.flow_control import FlowControl


class ReadFlow(FlowControl):
    """Pauses reading while requests wait for their turn: uvicorn's cycles resume it whenever they wait for a body."""

    is_blocked = False

    def block_reading(self) -> None:
        """Pause reading until `unblock_reading`."""
        self.is_blocked = True
        self.pause_reading()

    def unblock_reading(self) -> None:
        """Read again."""
        self.is_blocked = False
        self.resume_reading()

    def resume_reading(self) -> None:
        """Read again unless reading is blocked."""
        if self.read_paused and not self.is_blocked:
            super().resume_reading()
