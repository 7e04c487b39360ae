"""Campaigns: many cases, divided into shards that any process may run, and merged into records."""

from reference.campaign.campaign import AGAIN, Campaign, Failure
from reference.campaign.profiles import PROFILES, Profile
from reference.campaign.records import Found, Record, Tally
from reference.campaign.runners import Here, Pool, Runner
from reference.campaign.shards import Shard, Sides, load, run_shard, shards_of
from reference.campaign.store import FailureStore, ForeignFileError

__all__ = [
    "AGAIN",
    "PROFILES",
    "Campaign",
    "Failure",
    "FailureStore",
    "ForeignFileError",
    "Found",
    "Here",
    "Pool",
    "Profile",
    "Record",
    "Runner",
    "Shard",
    "Sides",
    "Tally",
    "load",
    "run_shard",
    "shards_of",
]
