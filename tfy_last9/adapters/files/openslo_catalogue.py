"""What was read from OpenSLO files: objects by kind and name, and every fault that was found."""

from __future__ import annotations

from dataclasses import dataclass, field

from tfy_last9.adapters.files.openslo_document import DataSourceObject, Envelope
from tfy_last9.adapters.files.places import Document, Trail, nearest
from tfy_last9.errors import FileProblem


@dataclass(frozen=True, slots=True)
class OpenSloObject:
    """One OpenSLO object and where it stands."""

    parsed: Envelope
    document: Document
    trail: Trail

    def problem(self, *steps: str | int, message: str, hint: str | None = None) -> FileProblem:
        """Return a problem placed at a value of the object."""
        return self.document.problem((*self.trail, *steps), message, hint)


@dataclass(slots=True)
class Catalogue:
    """Everything that was read, and everything that is wrong with it."""

    objects: dict[tuple[str, str], OpenSloObject] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    """Names of objects with faults of their own: that they cannot be referred to is no second fault."""
    problems: list[FileProblem] = field(default_factory=list)

    @property
    def slos(self) -> list[OpenSloObject]:
        """Return the SLOs in the order they were read."""
        return [item for (kind, _), item in self.objects.items() if kind == "SLO"]

    @property
    def sources(self) -> dict[str, str]:
        """Return the type of each DataSource, by name."""
        return {
            name: item.parsed.spec.type
            for (_, name), item in self.objects.items()
            if isinstance(item.parsed, DataSourceObject)
        }

    @property
    def slis(self) -> dict[str, OpenSloObject]:
        """Return the SLIs by name."""
        return self.named("SLI")

    def named(self, wanted: str) -> dict[str, OpenSloObject]:
        """Return the objects of one kind by name."""
        return {name: item for (kind, name), item in self.objects.items() if kind == wanted}

    def add(self, item: OpenSloObject) -> None:
        """Keep an object; one of the same kind and name must not exist."""
        name = item.parsed.metadata.name
        first = self.objects.setdefault((item.parsed.kind, name), item)
        if first is not item:
            place = first.document.place((*first.trail, "metadata", "name"))
            message = (
                f'{item.parsed.kind} "{name}" is defined twice;'
                f" first in {first.document.path}:{place.line}"
            )
            self.problems.append(item.problem("metadata", "name", message=message))

    def resolve(self, kind: str, name: str, user: OpenSloObject, *steps: str | int) -> None:
        """Complain, at the place in `user` that names it, unless an object of that kind exists."""
        if (kind, name) in self.objects or name in self.broken:
            return
        hint = nearest(name, self.named(kind))
        self.problems.append(
            user.problem(*steps, message=f'there is no {kind} "{name}"', hint=hint)
        )
