"""The health rules of the head, file by file: a file that can't be read, or has errors, leaves what it said before (rule 1)."""

from __future__ import annotations

from typing import NamedTuple

from reconciler.dialects.health_rules import find_doubles, is_health_rule, read_health_rules
from reconciler.engine.files import TreeFiles
from reconciler.model.health_rule import HealthRule
from reconciler.model.names import HEALTH_FOLDER
from reconciler.model.problem import Problem
from reconciler.model.text import one_line


class RuleFile(NamedTuple):
    """`rules`: of the last version of the file without errors. `problems`: of this one."""

    oid: str
    rules: tuple[HealthRule, ...]
    problems: tuple[Problem, ...]


class Rulebook(NamedTuple):
    """An immutable value, by path."""

    files: dict[str, RuleFile]
    problem: Problem | None = None

    def read(self, files: TreeFiles) -> Rulebook:
        """The book as it is at that commit; only files that changed are read. Raises SourceError."""
        try:
            listed = files.folder(HEALTH_FOLDER)
        except ValueError as error:
            return self._replace(problem=Problem(HEALTH_FOLDER, 0, f"health rules are not read anew: {one_line(error)}"))
        found = {path: self._file(files, path, oid) for path, oid in sorted(listed.items()) if is_health_rule(path)}
        return Rulebook(found)

    def _file(self, files: TreeFiles, path: str, oid: str) -> RuleFile:
        before = self.files.get(path)
        if before is not None and before.oid == oid:
            return before
        try:
            rules, problems = read_health_rules(path, files.read(path))
        except (FileNotFoundError, ValueError) as error:
            rules, problems = [], [Problem(path, 0, f"can't be read: {one_line(error)}")]
        if any(problem.severity == "error" for problem in problems):
            rules = list(before.rules) if before is not None else []
        return RuleFile(oid, tuple(rules), tuple(problems))

    @property
    def rules(self) -> dict[tuple[str, str], HealthRule]:
        """By group and kind, the first by path where there are two."""
        found: dict[tuple[str, str], HealthRule] = {}
        for file in self.files.values():
            for rule in file.rules:
                found.setdefault(rule.subject, rule)
        return found

    @property
    def problems(self) -> list[Problem]:
        doubles = find_doubles([rule for file in self.files.values() for rule in file.rules])
        own = [self.problem] if self.problem is not None else []
        return [*own, *(problem for file in self.files.values() for problem in file.problems), *doubles]
