"""What an order says of its machine as vSphere's tags: an annotation's name is a category, its value a tag in it.

A tag is for what several machines share: what each order has of its own (`ALONE`) becomes none.
"""

from collections.abc import Mapping
from urllib.parse import quote

from connectors.drivers.vsphere.estate import Machine
from connectors.drivers.vsphere.rest import EXISTS, Refusal, Rest, opened
from connectors.drivers.vsphere.session import Op, ref_id
from connectors.errors import Conflict

ALONE = frozenset({"tierwise.order"})
"""Annotations that no two machines share; vCenter is made for some ten thousand tags in all."""
Keys = Mapping[str, str]
"""vCenter's id of each annotation's tag."""

_CATEGORIES = "/com/vmware/cis/tagging/category"
_TAGS = "/com/vmware/cis/tagging/tag"
_ATTACHED = "/com/vmware/cis/tagging/tag-association"


def defined(op: Op, annotations: Mapping[str, str]) -> Keys:
    """The tags of these annotations, made where vCenter does not have them; a missing privilege refuses it first."""
    wanted = _shared(annotations)
    if not wanted:
        return {}
    with opened(op) as api:
        return _made(api, wanted)


def write(op: Op, machine: Machine, annotations: Mapping[str, str], keys: Keys) -> None:
    """Attach what the machine has no tag of yet: a create that was cut off may have attached a part."""
    del annotations  # a tag's id says its value
    with opened(op) as api:
        attached = _attached(api, machine)
        for name in sorted(keys.keys() - attached.keys()):
            _attach(api, machine, keys[name])


def change(op: Op, machine: Machine, changes: Mapping[str, str]) -> None:
    """Let the machine have these tags in their categories and no others; an empty value leaves none."""
    shared = _shared(changes)
    with opened(op) as api:
        attached = _attached(api, machine)
        missing = {name: value for name, value in shared.items() if value not in attached.get(name, {})}
        made = _made(api, {name: value for name, value in missing.items() if value})
        for name, value in sorted(shared.items()):
            # First, as a category may allow one tag of each machine only.
            for other, tag in attached.get(name, {}).items():
                if other != value:
                    _detach(api, machine, tag)
            if name in made:
                _attach(api, machine, made[name])


def read(op: Op, machine: Machine) -> dict[str, str]:
    """Each category's tag of the machine, those of others too; of several in one category, all with commas between."""
    with opened(op) as api:
        return {name: ", ".join(sorted(tags)) for name, tags in _attached(api, machine).items()}


def _shared(annotations: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in annotations.items() if name not in ALONE}


def _attached(api: Rest, machine: Machine) -> dict[str, dict[str, str]]:
    """Category -> tag -> its id, of those that the machine has."""
    found: dict[str, dict[str, str]] = {}
    names: dict[str, str] = {}
    body = {"object_id": _object(machine)}
    for tag in api.call("POST", f"{_ATTACHED}?~action=list-attached-tags", body) or ():
        one = api.call("GET", _by_id(_TAGS, tag))
        category = one["category_id"]
        if category not in names:
            names[category] = api.call("GET", _by_id(_CATEGORIES, category))["name"]
        found.setdefault(names[category], {})[one["name"]] = tag
    return found


def _made(api: Rest, wanted: Mapping[str, str]) -> dict[str, str]:
    """Name -> the id of the tag of this value in the category of this name, made where it is not there."""
    if not wanted:
        return {}
    categories = _categories(api)
    return {
        name: _tag(api, _category(api, categories, name), name, value) for name, value in wanted.items()
    }


def _categories(api: Rest) -> dict[str, str]:
    found = (api.call("GET", _by_id(_CATEGORIES, one)) for one in api.call("GET", _CATEGORIES) or ())
    return {one["name"]: one["id"] for one in found}


def _category(api: Rest, known: Mapping[str, str], name: str) -> str:
    if name in known:
        return known[name]
    spec = {
        "name": name, "description": "by tierwise", "cardinality": "SINGLE",
        "associable_types": ["VirtualMachine"],
    }  # fmt: skip
    try:
        return str(api.call("POST", _CATEGORIES, {"create_spec": spec}))
    except Refusal as refusal:
        # By another worker, or with other capitals, which vCenter does not tell apart.
        there = _categories(api).get(name)
        if there is None:
            raise _other_capitals(api, "category", name) from refusal
        return there


def _tag(api: Rest, category: str, name: str, value: str) -> str:
    spec = {"name": value, "description": f"{name} by tierwise", "category_id": category}
    try:
        return str(api.call("POST", _TAGS, {"create_spec": spec}))
    except Refusal as refusal:
        listed = api.call("POST", f"{_by_id(_TAGS, category)}?~action=list-tags-for-category") or ()
        for tag in listed:
            if api.call("GET", _by_id(_TAGS, tag))["name"] == value:
                return str(tag)
        raise _other_capitals(api, "tag", value) from refusal


def _other_capitals(api: Rest, what: str, name: str) -> Conflict:
    why = f"vCenter has a {what} of the name '{name}' with other capitals, or one that the user may not see"
    return Conflict(api.op.endpoint, api.op.name, why, hint="write it as it is there", vendor_code=EXISTS)


def _attach(api: Rest, machine: Machine, tag: str) -> None:
    api.do("POST", f"{_by_id(_ATTACHED, tag)}?~action=attach", {"object_id": _object(machine)})


def _detach(api: Rest, machine: Machine, tag: str) -> None:
    api.do("POST", f"{_by_id(_ATTACHED, tag)}?~action=detach", {"object_id": _object(machine)})


def _object(machine: Machine) -> dict[str, str]:
    return {"type": "VirtualMachine", "id": ref_id(machine.object)}


def _by_id(path: str, identifier: str) -> str:
    return f"{path}/id:{quote(identifier, safe=':')}"
