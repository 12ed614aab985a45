"""Members: who takes part."""

from concord.pillars.members.charter import Charter, Founder, VotingRule
from concord.pillars.members.records import (
    Accede,
    Accredit,
    Admit,
    Apply,
    Found,
    Leave,
    Profile,
    Recover,
    Sponsor,
    Suspend,
)
from concord.pillars.members.roster import Admitted, Effect, Restored, Roster, Said, Seat, Standing, Suspended, roster
from concord.pillars.members.view import PILLAR

__all__ = [
    "PILLAR",
    "Accede",
    "Accredit",
    "Admit",
    "Admitted",
    "Apply",
    "Charter",
    "Effect",
    "Found",
    "Founder",
    "Leave",
    "Profile",
    "Recover",
    "Restored",
    "Roster",
    "Said",
    "Seat",
    "Sponsor",
    "Standing",
    "Suspend",
    "Suspended",
    "VotingRule",
    "roster",
]
