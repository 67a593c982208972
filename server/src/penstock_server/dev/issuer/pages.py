"""The few pages that a person sees. Plain HTML, no script, everything escaped."""

from __future__ import annotations

from html import escape

from penstock_server.dev.issuer.people import DevUser

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem; color: #1a1a1a }
button { display: block; width: 100%; text-align: left; font: inherit; margin: .6rem 0; padding: .8rem 1rem;
  border: 1px solid #bbb; border-radius: .5rem; background: #fff; cursor: pointer }
button:hover, button:focus { border-color: #0a5; background: #f2fbf6 }
small, .note { color: #666 } input { font: inherit; padding: .6rem; width: 12rem; text-transform: uppercase }
"""


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>{body}"
        '<p class="note">Penstock development issuer: no passwords, this machine only.</p></body></html>'
    )


def choose_user(users: tuple[DevUser, ...], *, action: str, hidden: tuple[tuple[str, str], ...], purpose: str) -> str:
    """List the users as buttons of one form; `hidden` fields go along with the choice."""
    fields = "".join(f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in hidden)
    buttons = "".join(
        f'<button name="username" value="{escape(user.username)}"><b>{escape(user.username)}</b> '
        f"<small>{escape(', '.join(user.groups) or 'no groups')}"
        f"{escape(f' - {user.about}') if user.about else ''}</small></button>"
        for user in users
    )
    nobody = '<button name="username" value="">Nobody <small>refuse the sign-in</small></button>'
    form = f'<form method="post" action="{escape(action)}">{fields}{buttons}{nobody}</form>'
    return _page("Who do you want to be?", f"<p>{escape(purpose)}</p>{form}")


def enter_code(*, action: str, problem: str = "") -> str:
    """Ask for the code that a device shows."""
    note = f"<p>{escape(problem)}</p>" if problem else ""
    return _page(
        "Connect a device",
        f'{note}<form method="get" action="{escape(action)}"><p>Type the code that your terminal shows.</p>'
        '<input name="user_code" autofocus autocomplete="off"> <button>Continue</button></form>',
    )


def message(title: str, text: str) -> str:
    """Say one thing."""
    return _page(title, f"<p>{escape(text)}</p>")
