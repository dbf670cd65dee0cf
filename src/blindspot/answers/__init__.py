"""What an answer says: association and agreement, read as a careful person would."""

from blindspot.answers.agreement import Agreement, agreement_complete, read_agreement
from blindspot.answers.association import Association, association_complete, read_association

__all__ = [
    "Agreement",
    "Association",
    "agreement_complete",
    "association_complete",
    "read_agreement",
    "read_association",
]
