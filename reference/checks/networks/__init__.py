"""What is asked of the library beside training: initial weights, parameters of modules, losses at kinks, refusals.

What modules compute, and how they learn, is asked in `training`. The lines are those of ndgrad's library; whoever has
another by the same names says how it is imported.
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


def begun(engine: Engine, reference: Reference) -> NetworkCheck:
    """A check in which nothing has been run yet but the imports.

    Raises:
        ValueError: the engine or the reference offers no `library`.
    """
    imports, library = offered(engine, "library"), offered(reference, "library")
    if imports is None or library is None:
        raise ValueError(f"{(engine if imports is None else reference).name} has no library")
    return NetworkCheck(imports(), library())


def run_network_check(source: Source, engine: Engine, reference: Reference) -> NetworkCheck:
    """Draw a check, run it, and say what is wrong."""
    check = begun(engine, reference)
    try:
        pick(source, _CHECKS)(source, check)
    except Raised as raised:
        check.findings.append(Finding(Kind.RAISED, f"`{check.lines[-1]}`", str(raised)))
    return check
