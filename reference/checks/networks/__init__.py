"""Checks of the library apart from training: initial weights, parameters of modules, losses at kinks, refusals.

What modules compute and how they learn is checked in `training`. The lines are written for ndgrad's library. An engine
whose library has the same names supplies its own import lines.
"""

from reference.checks.networks.check import NetworkCheck
from reference.checks.networks.losses import check_loss
from reference.checks.networks.modules import check_module
from reference.checks.networks.refusals import check_refusals
from reference.checks.networks.weights import check_weights
from reference.engines import Engine, Reference
from reference.engines.stateful import offered
from reference.engines.training import Raised
from reference.ops.source import Source, pick
from reference.verdict import Finding, Kind

__all__ = ["NetworkCheck", "begun", "run_network_check"]

_CHECKS = [check_module, check_module, check_module, check_weights, check_loss, check_refusals]


def start_check(engine: Engine, reference: Reference) -> NetworkCheck:
    """Start a check: only the imports have been run.

    Raises:
        ValueError: the engine or the reference offers no `library`.
    """
    imports, library = offered(engine, "library"), offered(reference, "library")
    if imports is None or library is None:
        raise ValueError(f"{(engine if imports is None else reference).name} has no library")
    return NetworkCheck(imports(), library())


def run_network_check(source: Source, engine: Engine, reference: Reference) -> NetworkCheck:
    """Draw a check and run it."""
    check = start_check(engine, reference)
    try:
        pick(source, _CHECKS)(source, check)
    except Raised as raised:
        check.findings.append(Finding(Kind.RAISED, f"`{check.lines[-1]}`", str(raised)))
        check.raised = raised.place
    return check
