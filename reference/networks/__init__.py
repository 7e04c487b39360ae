"""What is asked of the library beside training: initial weights, parameters of modules, losses at kinks, refusals.

What modules compute, and how they learn, is asked in `training`.
"""

from reference.networks.check import NetworkCheck
from reference.networks.losses import check_loss
from reference.networks.modules import check_module
from reference.networks.refusals import check_refusals
from reference.networks.weights import check_weights
from reference.source import Source, pick
from reference.training.ndgrad import Raised
from reference.verdict import Finding, Kind

__all__ = ["NetworkCheck", "run_network_check"]

_CHECKS = [check_module, check_module, check_module, check_weights, check_loss, check_refusals]


def run_network_check(source: Source) -> NetworkCheck:
    """Draw a check, run it, and say what is wrong."""
    check = NetworkCheck()
    try:
        pick(source, _CHECKS)(source, check)
    except Raised as raised:
        check.findings.append(Finding(Kind.RAISED, f"`{check.lines[-1]}`", str(raised)))
    return check
