"""What keys a model of a file declares, for sentences and tables."""

from __future__ import annotations

import difflib
import typing
from typing import TYPE_CHECKING, Any

from apis_rules.documents.model import FileModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apis_rules.documents.document import Path


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the one of *known* that *word* was probably meant to be, whatever its capitals; or nothing."""
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.7)
    # Two letters of three exchanged make half a word another one.
    exchanged = (name for name in folded if sorted(name) == sorted(word.casefold()))
    return folded[near[0]] if near else folded.get(next(exchanged, ""), "")


def known_keys(model: type[FileModel]) -> dict[str, Any]:
    """Return the keys that *model* declares, as they stand in files, each with its annotation."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items() if not field.exclude}


def all_keys(model: type[FileModel], prefix: str = "") -> list[str]:
    """Return the dotted path of every key that *model* and the models in it declare; ``*`` stands for a free name."""
    found: list[str] = []
    for key, annotation in known_keys(model).items():
        found.append(f"{prefix}{key}")
        inner, free = inner_model(annotation)
        if inner is not None:
            found += all_keys(inner, f"{prefix}{key}.{'*.' if free else ''}")
    section = section_model(model)
    if section is not None:
        found += ["*", *all_keys(section, f"{prefix}*.")]
    return found


def model_at(model: type[FileModel], path: Path) -> type[FileModel] | None:
    """Return the model of the object at *path* in a document of *model*, or None where that is no object."""
    at: type[FileModel] | None = model
    steps = list(path)
    while steps and at is not None:
        step = steps.pop(0)
        if isinstance(step, int):  # an entry of a list: each is the same model
            continue
        keys = known_keys(at)
        if step in keys:
            at, free = inner_model(keys[step])
            if free and steps:
                steps.pop(0)
        else:
            at = section_model(at)
    return at


def section_model(model: type[FileModel]) -> type[FileModel] | None:
    """Return the model of what stands under free names beside the declared keys, or None where nothing may."""
    if "__pydantic_extra__" not in model.__annotations__:
        return None
    section: type[FileModel] = typing.get_args(typing.get_type_hints(model)["__pydantic_extra__"])[1]
    return section


def inner_model(annotation: Any) -> tuple[type[FileModel] | None, bool]:
    """Return the model in *annotation* and whether it stands behind a free name; (None, False) for plain values."""
    if isinstance(annotation, type) and issubclass(annotation, FileModel):
        return annotation, False
    free = typing.get_origin(annotation) is dict
    for argument in typing.get_args(annotation):
        inner, deeper = inner_model(argument)
        if inner is not None:
            return inner, free or deeper
    return None, False
