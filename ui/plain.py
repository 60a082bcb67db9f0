"""Plain HTML pages, without NiceGUI and without any script: for strangers and for bad days."""

from html import escape

from starlette.responses import HTMLResponse

from ui.assets import ASSETS, PLAIN_SHEETS, stylesheets

SCHEME_COOKIE = "mcpbox_scheme"
SCHEMES = ("light", "dark")

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


def message_page(
    title: str,
    text: str,
    *,
    status: int,
    way: tuple[str, str] | None = None,
    scheme: str | None = None,
) -> HTMLResponse:
    """One sentence, what to do, and where there is one a way on: its words and its address."""
    onward = f'<a class="go" href="{escape(way[1])}">{escape(way[0])}</a>' if way else ""
    body = f'<h1>{escape(title)}</h1><p class="muted">{escape(text)}</p>{onward}'
    return page(title, body, status=status, scheme=scheme)


def login_page(
    *, error: str = "", username: str = "", status: int = 200, scheme: str | None = None
) -> HTMLResponse:
    message = (
        f'<div class="callout critical" role="alert">{symbol("circle-x")}'
        f"<div>{escape(error)}</div></div>"
        if error
        else ""
    )
    first, second = ("", " autofocus") if username else (" autofocus", "")
    body = f"""
      <h1>Sign in</h1>
      <p class="muted">See what your LLMs ask for, and decide what may run.</p>
      {message}
      <form method="post" action="/login">
        <label for="username">User name</label>
        <input id="username" name="username" value="{escape(username)}" autocomplete="username"
          autocapitalize="none" spellcheck="false" required{first}>
        <label for="password">Password</label>
        <input id="password" name="password" type="password" autocomplete="current-password"
          required{second}>
        <button class="go" type="submit">Sign in</button>
      </form>"""
    return page("Sign in", body, status=status, scheme=scheme)


def page(title: str, body: str, *, status: int, scheme: str | None) -> HTMLResponse:
    """``body`` is markup: whoever builds it escapes what is not ours."""
    body_class = f"body--{scheme}" if scheme in SCHEMES else "body--auto"
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>{escape(title)} · mcpbox</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="{ASSETS}/favicon.svg">
    {stylesheets(PLAIN_SHEETS)}
  </head>
  <body class="{body_class}">
    <main class="plain">
      <div class="card">
        <div class="brand"><span class="brand-mark">{symbol("package")}</span>mcpbox</div>
        {body}
      </div>
    </main>
  </body>
</html>
""",
        status_code=status,
        headers={"content-security-policy": _POLICY, "cache-control": "no-store"},
    )


def symbol(name: str) -> str:
    return f'<svg aria-hidden="true"><use href="{ASSETS}/icons.svg#{name}"/></svg>'
