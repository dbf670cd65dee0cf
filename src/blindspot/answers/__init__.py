"""What an answer says, read as a careful person would: association, agreement, interpretation."""

from blindspot.answers.agreement import (
    Agreement,
    agreement_complete,
    read_agreement,
    read_rating,
)
from blindspot.answers.association import Association, association_complete, read_association
from blindspot.answers.interpretation import InterpretedSense, read_interpretation

__all__ = [
    "Agreement",
    "Association",
    "InterpretedSense",
    "agreement_complete",
    "association_complete",
    "read_agreement",
    "read_association",
    "read_interpretation",
    "read_rating",
]
