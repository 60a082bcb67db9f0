"""What people and the author say about a request without deciding."""

from nicegui import ui

from mcpbox.domain.comments import Comment, CommentDraft
from mcpbox.domain.reasons import REASON_MAX_LENGTH
from mcpbox.domain.requests import RequestDetail
from ui.parts import attributes, box, button, icon, text
from ui.problems import ApiProblem
from ui.visit import Visit
from ui.words import who


def show_thread(visit: Visit, request: RequestDetail) -> None:
    with box("panel"):
        text("Discussion", tag="h2")
        if not request.comments:
            text("Nobody has said anything yet; the author reads what is said here.", "muted", "p")
        with box("log", "ol"):
            for comment in request.comments:
                _comment(visit, request, comment)
        _composer(visit, request)


def _comment(visit: Visit, request: RequestDetail, comment: Comment) -> None:
    kind, name = who(comment.author)
    with box("", "li"):
        with box("face"):
            icon(kind)
        with box("grow"):
            with box("line-row wrap"):
                text(name, "strong", title=comment.author)
                if comment.line is not None:
                    text(f"line {comment.line}", "chip mono")
                if comment.digest != request.digest:
                    text(f"round {comment.round}", "faint small")
            text(comment.text, "words", "div")
        visit.stamp(comment.commented_at, "when faint small", relative=True)


def _composer(visit: Visit, request: RequestDetail) -> None:
    with box("composer") as place:
        written = ui.textarea(placeholder="Ask, or answer").classes("field").mark("comment")
        written.props("outlined dense autogrow hide-bottom-space")
        attributes(written, {"aria-label": "Comment"})

    async def send() -> None:
        said = (written.value or "").strip()[:REASON_MAX_LENGTH]
        if not said:
            return
        try:
            await visit.rest.comment(request.id, CommentDraft(text=said))
        except ApiProblem as problem:
            visit.show_problem(problem)
        else:
            written.set_value("")

    with place:
        button("Comment", on_click=send).mark("send-comment")
