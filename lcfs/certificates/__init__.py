"""A trained net becomes a certificate: bits that decode to a net, its errors, and bounds that a stranger can verify."""

from lcfs.certificates.certificate import Certificate
from lcfs.certificates.certifying import Attempt, certify, certify_state
from lcfs.certificates.coarsening import Coarsening
from lcfs.certificates.evidence import Sample
from lcfs.certificates.verifying import Verification, verify

__all__ = ["Attempt", "Certificate", "Coarsening", "Sample", "Verification", "certify", "certify_state", "verify"]
