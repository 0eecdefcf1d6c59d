"""Names are found lazily, suggested when misspelt, and never overwritten in silence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lstmlab import registry
from lstmlab.config import check, compose
from lstmlab.errors import LstmlabError
from lstmlab.registry import NameClashError, Registry, UnknownNameError


def test_an_unknown_name_says_the_nearest_and_all_known() -> None:
    with pytest.raises(UnknownNameError, match=r"no cell called 'pephole'. Did you mean 'peephole'\? Known: .*vanilla"):
        registry.cell.get("pephole")


def test_an_entry_is_loaded_only_when_it_is_used() -> None:
    loaded = []
    things = Registry("thing")

    @things("late")
    def late() -> type:
        """Come late."""
        loaded.append("late")
        return int

    assert "late" in things
    assert things.entry("late").summary == "Come late."
    assert loaded == []
    assert things.get("late") is int
    assert loaded == ["late"]


def test_a_clash_names_both_origins() -> None:
    things = Registry("thing")

    @things("same")
    class First:
        pass

    with pytest.raises(NameClashError) as caught:

        @things("same")
        class Second:
            pass

    lines = [word for word in str(caught.value).split() if "test_registry.py:" in word]
    assert len(set(lines)) == 2
    assert things.get("same") is First


@pytest.mark.parametrize("kind", registry.KINDS.values(), ids=list(registry.KINDS))
def test_every_entry_says_what_it_is_and_where_it_comes_from(kind: Registry) -> None:
    for name in kind:
        entry = kind.entry(name)
        assert entry.summary
        file, _, line = entry.origin.rpartition(":")
        assert file.endswith(".py")
        assert int(line) > 0


@pytest.mark.parametrize("name", list(registry.dataset))
def test_every_dataset_states_its_facts(name: str) -> None:
    kind = registry.dataset.get(name)
    config = replace(check(compose([f"task={kind.tasks[0]}"])).run.task, dataset=name, path=None)
    data = kind(config)
    for fact in ("title", "kind", "licence", "source", "citation", "tasks", "size"):
        assert getattr(data, fact), fact
    assert data.kind in ("embedded", "generated", "download", "file")
    if data.kind == "file":
        with pytest.raises(LstmlabError, match=r"task\.path="):
            data.content()
    else:
        assert data.version == kind(config).version
