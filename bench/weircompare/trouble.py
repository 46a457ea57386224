"""What can go wrong, by what it means for the rest."""


class Trouble(Exception):
    """Said to the user as it stands.  Raised in a run, it costs that run."""


class Absent(Trouble):
    """Something that can't be had on this machine: left out, with a word."""


class Interrupted(BaseException):
    """A signal asks for the end; what was set up is undone on the way out."""
