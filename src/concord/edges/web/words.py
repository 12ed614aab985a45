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
        word("kinds of repos", "models"),
        word("kinds of repos", "datasets"),
        word("kinds of repos", "spaces"),
        word("gate", "open"),
        word("gate", "auto"),
        word("gate", "manual"),
        word("discussion", "open"),
        word("discussion", "draft"),
        word("discussion", "closed"),
        word("discussion", "merged"),
        # The components of the Model Openness Framework, and what licences permit, require and withhold.
        word("component", "architecture"),
        word("component", "parameters"),
        word("component", "evaluation results"),
        word("component", "model card"),
        word("component", "data card"),
        word("component", "technical report"),
        word("component", "sample outputs"),
        word("component", "training code"),
        word("component", "inference code"),
        word("component", "evaluation code"),
        word("component", "evaluation data"),
        word("component", "supporting libraries"),
        word("component", "research paper"),
        word("component", "datasets"),
        word("component", "preprocessing code"),
        word("component", "intermediate parameters"),
        word("component", "model metadata"),
        word("licence term", "commercial use"),
        word("licence term", "give the source"),
        word("licence term", "distribution"),
        word("licence term", "say what was changed"),
        word("licence term", "keep the notices of licence and copyright"),
        word("licence term", "keep the notices in source form"),
        word("licence term", "liability"),
        word("licence term", "changes"),
        word("licence term", "give the source to users over a network"),
        word("licence term", "use of patents"),
        word("licence term", "private use"),
        word("licence term", "the same licence"),
        word("licence term", "the same licence for changed files"),
        word("licence term", "the same licence for the library"),
        word("licence term", "use of trademarks"),
        word("licence term", "warranty"),
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
