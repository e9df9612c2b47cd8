"""The classes of commands and groups: sections of the help, and the default command of a group."""

from __future__ import annotations

import re
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

from .exit_codes import quiet_on_closed_pipe

SENTENCE: Final = re.compile(r"(?<=\.) (?=[A-Z])")


class Command(TyperCommand):
    """A command whose help lists the options of the command before those that all commands have."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options, in sections."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                is_argument = param.param_type_name == "argument"
                title = "Arguments" if is_argument else getattr(param, "rich_help_panel", None) or "Options"
                sections.setdefault(title, []).append(record)
        for title, records in sections.items():
            with formatter.section(title):
                formatter.write_dl(records)


class Group(TyperGroup):
    """A group whose help has the whole first sentence of each command. A closed pipe ends it quietly."""

    def make_context(self, *args: Any, **options: Any) -> Any:
        """Parse the arguments, and print the help if they request it."""
        with quiet_on_closed_pipe():  # otherwise typer exits with 1
            return super().make_context(*args, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command of the context."""
        with quiet_on_closed_pipe():
            return super().invoke(ctx)

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the application."""
        with quiet_on_closed_pipe():  # typer prints a usage error outside of the methods above
            return super().main(*args, **options)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        rows = [(name, first_sentence(each.help)) for name, each in found if each is not None and not each.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def first_sentence(text: str | None) -> str:
    """Return the first sentence of a help text."""
    return SENTENCE.split((text or "").partition("\n\n")[0].replace("\n", " "), maxsplit=1)[0]


class DefaultGroup(Group):
    """A group that runs its command to list or retrieve if no other command is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the name of the default command before its arguments."""
        default = self.default_command()
        is_completion = ctx.resilient_parsing and not args  # the word that is completed can be a command
        if default is not None and not is_completion and (not args or args[0] not in self.commands):
            takes_arguments = any(each.param_type_name == "argument" for each in self.commands[default].params)
            is_help = bool(args) and args[0] in ctx.help_option_names
            if not is_help and (not args or args[0].startswith("-") or takes_arguments):
                args = [default, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Return the commands, or the options of the default command, that begin with a text."""
        found = super().shell_complete(ctx, incomplete)
        default = self.default_command()
        if default is not None and incomplete.startswith("-"):
            found += self.commands[default].shell_complete(ctx, incomplete)
        return found

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write which command is the default."""
        default = self.default_command()
        if default is not None:
            formatter.write_paragraph()
            formatter.write_text(
                f"Without a command, '{default}' runs. '{ctx.command_path} {default} -h' has its options."
            )

    def default_command(self) -> str | None:
        """Return the name of the default command, or None."""
        return next((name for name in ("list", "retrieve") if name in self.commands), None)
