"""Words that stand in records and settings, and are shown in the reader's language: standings, roles, regions, faults.

A template cannot name them, because they come from data. So each stands here once, with the context that tells its sense, where
the extraction of messages finds it. `Page.word` looks it up; a word that is not here, such as a role that only one charter
knows, is shown as it is.

>>> ("standing", "member") in WORDS
True
"""


def word(context: str, text: str) -> tuple[str, str]:
    """Marks a word for translators."""
    return context, text


WORDS = frozenset(
    (
        word("standing", "member"),
        word("standing", "invited"),
        word("standing", "applicant"),
        word("standing", "admitted"),
        word("standing", "suspended"),
        word("standing", "left"),
        # What a person or a token may do for a member.
        word("role", "delegate"),
        word("role", "publisher"),
        word("role", "officer"),
        word("role", "safety"),
        word("role", "clerk"),
        word("role", "admin"),
        word("role", "node"),
        word("role", "read"),
        # For whom a class of members is.
        word("open to", "state"),
        word("open to", "institution"),
        word("open to", "region"),
        word("open to", "anyone"),
        # The groups of the World Bank.
        word("income group", "low"),
        word("income group", "lower-middle"),
        word("income group", "upper-middle"),
        word("income group", "high"),
        # The regions of the M49 standard, as the United Nations name them in each language.
        word("region", "Africa"),
        word("region", "Americas"),
        word("region", "Asia"),
        word("region", "Europe"),
        word("region", "Oceania"),
        word("region", "Australia and New Zealand"),
        word("region", "Central Asia"),
        word("region", "Eastern Asia"),
        word("region", "Eastern Europe"),
        word("region", "Latin America and the Caribbean"),
        word("region", "Melanesia"),
        word("region", "Micronesia"),
        word("region", "Northern Africa"),
        word("region", "Northern America"),
        word("region", "Northern Europe"),
        word("region", "Polynesia"),
        word("region", "South-eastern Asia"),
        word("region", "Southern Asia"),
        word("region", "Southern Europe"),
        word("region", "Sub-Saharan Africa"),
        word("region", "Western Asia"),
        word("region", "Western Europe"),
        # What a repo holds, how its files may be had, and how its discussions stand.
        word("kind of repo", "model"),
        word("kind of repo", "dataset"),
        word("kind of repo", "space"),
        word("gate", "open"),
        word("gate", "auto"),
        word("gate", "manual"),
        word("discussion", "open"),
        word("discussion", "draft"),
        word("discussion", "closed"),
        word("discussion", "merged"),
        # Whose fault an error is (`ConcordError.fault`).
        word("the fault is", "nobody's"),
        word("the fault is", "the asker's"),
        word("the fault is", "the person's"),
        word("the fault is", "the speaker's"),
        word("the fault is", "the sender's"),
        word("the fault is", "their author's"),
        word("the fault is", "its maker's"),
        word("the fault is", "the log's owner's, or of whoever brought the proof"),
        word("the fault is", "the line's or the peer's"),
        word("the fault is", "the line's or the asker's"),
        word("the fault is", "this machine's"),
        word("the fault is", "the operator's"),
    )
)
