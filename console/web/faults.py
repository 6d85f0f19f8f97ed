"""What a page answers with when it cannot be shown: each fault as a page that says what to do.

ConsoleError
  PageFault
    NotThere     404
    Forbidden    403
    Unusable     400
"""

from console.errors import ConsoleError


class PageFault(ConsoleError):
    """A page that cannot be shown, or a form that is not acted on. Nothing was done."""

    status = 400
    title = "That cannot be done"


class NotThere(PageFault):
    """There is no such thing, or none that this person may know of."""

    status, title = 404, "There is no such thing"


class Forbidden(PageFault):
    """They may not."""

    status, title = 403, "You may not do this"


class Unusable(PageFault):
    """The form, or the address, says something that cannot be used."""
