"""vCenter's storage policies, of its policy service (PBM): which there are, what satisfies them, who has which."""

import http.client
from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from connectors.contract import VmSpec
from connectors.drivers.vsphere import traits
from connectors.drivers.vsphere.estate import Machine
from connectors.drivers.vsphere.session import CUT_OFF, Op, Satisfied, ref_id
from connectors.errors import NotFound, Refused

TRAIT = "CUSTOM_STORAGE_POLICY_"
"""What the traits of storage policies begin with."""

_DATASTORE = "Datastore"
_REQUIREMENT = "REQUIREMENT"
"""The category of what machines are given; others describe storage, or are parts of policies."""


class Policy(NamedTuple):
    """A storage policy by its name in vCenter."""

    name: str
    id: str

    @property
    def trait(self) -> str:
        """The name as OpenStack makes traits of names."""
        return traits.of_name(TRAIT, self.name)


def of_datastores(op: Op, stores: Iterable[str]) -> Satisfied:
    """Which policies these datastores satisfy. A service that does not answer is told, and is no failure.

    A trait that two policies have is left out: which of them it means nobody can say. One policy that vCenter
    cannot judge hides no other, and what was judged before the time was up counts.
    """
    found: dict[str, frozenset[str]] = dict.fromkeys(stores, frozenset())
    problems: list[str] = []
    try:
        # With the other half of the time the rest of the call goes on where this service hangs.
        with op.session.deadline.share(2):
            for policy in _told_apart(_listed(op)) if found else ():
                try:
                    for store in _satisfying(op, policy, found) & found.keys():
                        found[store] |= {policy.trait}
                except op.session.fault as fault:
                    problems.append(f"storage policy '{policy.name}' cannot be judged: {_why(op, fault)}")
    except CUT_OFF:
        raise
    except op.session.failures as error:
        why = op.session.why_half(op.endpoint, op.name, error)
        problems.append(f"storage policies cannot be read: {why}")
    return Satisfied(found, "; ".join(problems))


def wanted(op: Op, spec: VmSpec) -> Policy | None:
    """The policy that a new machine is to have: its order's, or else the option's. Raises NotFound, Refused."""
    trait = traits.required(op, spec, TRAIT, "storage policy")
    name = op.session.settings.options.storage_policy
    if trait is None and name is None:
        return None
    known = _needed(op)
    found = [one for one in known if (one.name == name if trait is None else one.trait == trait)]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(f"'{one.name}'" for one in found)
        raise op.error(
            Refused, f"storage policies {names} are both {found[0].trait}", hint="rename one in vCenter"
        )
    there = ", ".join(sorted(one.name if trait is None else one.trait for one in known)) or "none"
    if trait is not None:
        hint = f"there are: {there}; make it in vCenter, or change what the order's class and rules require"
        raise op.error(NotFound, f"there is no storage policy {trait}", hint=hint)
    hint = f"there are: {there}; correct the endpoint's option 'storage_policy'"
    raise op.error(NotFound, f"there is no storage policy '{name}'", hint=hint)


def satisfying(op: Op, policy: Policy, stores: Collection[str]) -> frozenset[str]:
    """Those of the datastores, by managed object id, that satisfy the policy. Raises Refused."""
    if not stores:
        return frozenset()  # of none asked about vCenter judges all
    try:
        return _satisfying(op, policy, stores)
    except op.session.fault as fault:
        why = f"storage policy '{policy.name}' cannot be judged: {_why(op, fault)}"
        raise op.error(Refused, why, hint="see it in vCenter", code=_code(op, fault)) from fault


def specs(op: Op, *ids: str) -> list[Any]:
    """Policies, by their ids, as vSphere wants to be told them."""
    return [op.session.vim.vm.DefinedProfileSpec(profileId=one) for one in ids]


def kept(op: Op, machine: Machine, disk: Any = None) -> list[Any]:
    """The policy that the machine's own folder has, or one of its disks, for what is to be beside it.

    Nothing where there is none, or where vCenter has no policy service or lets the user not see it.
    """
    try:
        return specs(op, *_associated(op, machine, disk))
    except (op.session.fault, http.client.HTTPException):
        return []


def of_machine(op: Op, machine: Machine, disks: Iterable[Any]) -> dict[int | None, Policy]:
    """The policies that the machine has: of its own folder (None), and of each of these disks, by key.

    Nothing where vCenter has no policy service or lets the user not see it.
    """
    try:
        ids = {None: _associated(op, machine)} | {
            disk.key: _associated(op, machine, disk) for disk in disks
        }
        known = {one.id: one for one in _listed(op)} if any(ids.values()) else {}
    except (op.session.fault, http.client.HTTPException):
        return {}
    return {key: known.get(found[0], Policy(found[0], found[0])) for key, found in ids.items() if found}


def _associated(op: Op, machine: Machine, disk: Any = None) -> list[str]:
    """The ids of policies that the machine's own folder has, or one of its disks; vSphere gives each one at most."""
    pbm, key = op.session.pbm, ref_id(machine.object)
    if disk is None:
        entity = pbm.ServerObjectRef(objectType="virtualMachine", key=key)
    else:
        entity = pbm.ServerObjectRef(objectType="virtualDiskId", key=f"{key}:{disk.key}")
    found = op.session.policies().profileManager.QueryAssociatedProfile(entity=entity)
    return [one.uniqueId for one in found or ()]


def _needed(op: Op) -> list[Policy]:
    """All policies, where an order or the option asks for one. Raises Refused."""
    try:
        return _listed(op)
    except (op.session.fault, http.client.HTTPException) as error:
        why = f"a storage policy is asked for, and vCenter's cannot be read: {_why(op, error)}"
        hint = (
            "give the user's role the privilege StorageProfile.View, and see that vCenter's storage policy service runs; "
            "or ask for none"
        )
        raise op.error(Refused, why, hint=hint, code=_code(op, error)) from error


def _listed(op: Op) -> list[Policy]:
    manager, types = op.session.policies().profileManager, op.session.pbm.profile
    storage = types.ResourceType(resourceType="STORAGE")
    ids = manager.QueryProfile(resourceType=storage, profileCategory=_REQUIREMENT)
    found = manager.RetrieveContent(profileIds=ids) if ids else ()
    return [Policy(one.name, one.profileId.uniqueId) for one in found]


def _told_apart(found: list[Policy]) -> list[Policy]:
    traits = [policy.trait for policy in found]
    return [policy for policy in found if traits.count(policy.trait) == 1]


def _satisfying(op: Op, policy: Policy, stores: Iterable[str]) -> frozenset[str]:
    types = op.session.pbm
    hubs = [types.placement.PlacementHub(hubType=_DATASTORE, hubId=store) for store in stores]
    profile = types.profile.ProfileId(uniqueId=policy.id)
    found = op.session.policies().placementSolver.QueryMatchingHub(hubsToSearch=hubs, profile=profile)
    return frozenset(hub.hubId for hub in found or () if hub.hubType == _DATASTORE)


def _why(op: Op, error: Exception) -> str:
    return op.session.meaning(op.endpoint, op.name, error).why


def _code(op: Op, error: Exception) -> str:
    return op.session.meaning(op.endpoint, op.name, error).vendor_code
