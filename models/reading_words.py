"""The reading of the five per cent rule in words, in the languages of the report; :class:`models.source_reading.SourceReading` puts its parameters in."""

from collections.abc import Mapping
from typing import NamedTuple

LANGUAGES = ("en", "zh")


class ReadingWords(NamedTuple):
    """Templates of one language, and what stands in them for each value of a setting."""

    literal: str
    interval: str
    between: str
    scored: str
    within: Mapping[str, str]
    timing: Mapping[str, str]
    watch: Mapping[str, str]
    insufficient: Mapping[str, str]
    removals: str
    then: Mapping[str, str]


def reading_words(language: str) -> ReadingWords:
    """Return the templates of a language, one of :data:`LANGUAGES`."""
    return {"en": _ENGLISH, "zh": _CHINESE}[language]


_ENGLISH = ReadingWords(
    literal="""\
- **Unit.** Record, after removing exact duplicates{within}, before any content filter.
- **Numerator.** Record with at least one finding of {numerator}{scored}. Nothing else that rules act on counts.
- **Basis.** Detectors, taken at their word: nobody audited the figure, and no allowance is made for their errors.
- **States.** `blacklisted`: unlawful / distinct > {limit}, strictly, from {min_records} distinct records on; `hold`: the same with fewer; `clean`: otherwise.
- **Removals.** {removals}
""",
    interval="""\
- **Source key.** open/commercial: (publisher, dataset, version). self_collected and URL-pointer sets: registrable domain (eTLD+1, pinned PSL) by default, host or path prefix by override for shared hosting (blogs, CDNs, user-generated platforms). user_input: product/tenant. Roll-ups reported at every level; a decision at a parent never clears a child whose own state is worse.
- **Unit.** Record, after exact de-duplication{within}, *before* any content filter. Also report share by characters; if the two lie on different sides of {limit}, state is at most `watch`.
- **Numerator.** Record contains ≥1 confirmed {numerator} risk. Blocked information is outside: any hit drops the record and is counted apart.
- **Timing.** `pre` on a probe; `post` on each batch; {timing}. Detector change → new epoch, old counts not merged: all records are sorted into strata anew, verdicts stay with their records.
- **Estimate.** Two-phase: detectors scan everything and split each source into strata h (e.g. flagged-high, flagged-low, unflagged); a deterministic hash sample in each stratum is judged by humans (two annotators + adjudication). p̂ = Σ W_h·k_h/n_h.
- **Interval.** Per stratum Wilson (l_h, u_h); MOVER: L = p̂ − √Σ[W_h(p̂_h−l_h)]², U = p̂ + √Σ[W_h(u_h−p̂_h)]², {sure} two-sided ({side} per side, z={clean}). With a single stratum this *is* the Wilson interval. With m records per near-duplicate or page-template cluster divide n by DEFF = 1+(m−1)·ICC (ICC {correlation}, m 20 → {example}).
- **States.**
  - `insufficient`: audited n < {min_audited}, or any stratum with W_h >{small} has no audit. {insufficient}
  - `clean`: U ≤ {limit}. → collect/train allowed.
  - `blacklisted`: L > {limit} (L at z={review} for a one-off review, z={nightly} for the automatic nightly decision). → neither; future records of that source are quarantined. Between the two, state is `watch/hold`: the source is not used either way, only the permanent mark waits. Left only by `manual` or U ≤ {leave} on new data: by verdicts that came since.
  - `watch`: otherwise. Sub-flag `hold` if p̂ > {limit} (literal reading: exceeds) → not trained on; if p̂ ≤ {limit} → {watch}.
  - `manual`: a signed override with reason, reviewer, expiry.
- **n_min.** {min_audited}; {smallest} is the smallest n at which zero hits gives Wilson upper ≤{limit}.
- **Classifiers.** Where nobody has audited, Rogan–Gladen from calibrated Se and Sp is triage: the state stays `insufficient`, `watch` or `hold`, with basis `rogan-gladen`; refused if Se+Sp−1 < {least}.
- **Removals.** {removals}
""",
    between=", ",
    scored=" with a score of {score} or more",
    within={"split": " within a split (the same text in two splits counts twice)", "source": " over the whole source"},
    timing={
        "worst": "source state = worst of {cumulative since last review, latest batch}",
        "ignore": "source state = that of all counts since last review",
    },
    watch={
        "hold": "may be used only if policy says `watch_use: allow`; default hold",
        "collect": "may be collected, not trained on: policy says `watch_use: collect`",
        "allow": "may be used: policy says `watch_use: allow`",
    },
    insufficient={
        "hold": "Not usable, not blacklisted.",
        "collect": "May be collected, not trained on; not blacklisted.",
        "allow": "Usable by policy, not blacklisted.",
    },
    removals="Records that rules quarantine or drop, of all records, whatever the state. A source moved if |p − q| > {moved} · √[(arm of p)² + (arm of q)²], "
    "by the arms of the two Wilson intervals (z={clean}) that face each other, p now and q in the last release, and |p − q| ≥ {least_move}. Nearly all is removed if "
    "the lower limit of p is ≥ {nearly}. Such a source {then}. What alone causes > {cause} of all removals for sure is named.",
    then={
        "tell": "is named in the report; its state stays",
        "hold": "is on `hold` until a person acknowledges it, which holds for the figures seen",
    },
)

_CHINESE = ReadingWords(
    literal="""\
- **计数单位。** 记录，去除完全重复之后{within}、任何内容过滤之前。
- **分子。** 至少有一处检测结果属于 {numerator}{scored}的记录。规则所处理的其他内容均不计入。
- **依据。** 检测器，按其所报采信：数字未经人工审计，也未扣除检测器的误差。
- **状态。** `blacklisted`（黑名单）：违法不良 / 去重 > {limit}（严格大于），且去重记录满 {min_records} 条；`hold`（暂停使用）：同上但不足该数；`clean`（正常）：其他情形。
- **移除。** {removals}
""",
    interval="""\
- **来源键。** 开源或商业语料：（发布者、数据集、版本）。自采语料及仅列网址的数据集：默认按可注册域名（eTLD+1，固定版本的公共后缀表），共享托管（博客、CDN、用户生成内容平台）可改按主机或路径前缀。使用者输入：产品/租户。各级均有汇总；上级的决定不会使状态更差的下级转为正常。
- **计数单位。** 记录，去除完全重复之后{within}、任何内容过滤*之前*。同时报告按字符计的占比；若二者分列 {limit} 两侧，状态至多为 `watch`（观察）。
- **分子。** 经确认含至少一项 {numerator} 风险的记录。被阻断的信息不在其内：凡命中即丢弃，另行计数。
- **时点。** `pre` 针对采集前的试采样本，`post` 针对每一批；{timing}。检测器变更 → 新的纪元，旧计数不并入：全部记录重新分层，判定随记录保留。
- **估计。** 两阶段：检测器扫描全部记录，把每个来源分为若干层 h（高置信命中、低置信命中、未命中）；各层按散列值确定地抽样，由人工判定（两人标注，分歧由第三人裁决）。p̂ = Σ W_h·k_h/n_h。
- **区间。** 各层用 Wilson 区间 (l_h, u_h)；合并用 MOVER：L = p̂ − √Σ[W_h(p̂_h−l_h)]²，U = p̂ + √Σ[W_h(u_h−p̂_h)]²，双侧 {sure}（每侧 {side}，z={clean}）。只有一层时*即为* Wilson 区间。若每个近似重复簇或页面模板簇平均含 m 条记录，则 n 除以 DEFF = 1+(m−1)·ICC（ICC {correlation}，m 为 20 → {example}）。
- **状态。**
  - `insufficient`（样本不足）：判定数 n < {min_audited}，或有 W_h >{small} 的层没有判定。{insufficient}
  - `clean`（正常）：U ≤ {limit}。→ 可采集、可训练。
  - `blacklisted`（黑名单）：L > {limit}（一次性审查取 z={review}，每晚自动决定取 z={nightly}）。→ 二者皆不可；该来源此后的记录隔离。介于两者之间为 `watch/hold`：来源同样不使用，只是不作永久标记。只能由 `manual` 或新数据的 U ≤ {leave} 解除：即此后作出的判定。
  - `watch`（观察）：其他情形。若 p̂ > {limit}（按字面：超过）则为 `hold`（暂停使用）→ 不用于训练；若 p̂ ≤ {limit} → {watch}。
  - `manual`（人工）：有理由、审查人和期限的具名决定。
- **最少判定数。** {min_audited}；在无一命中时使 Wilson 上限 ≤{limit} 的最小 n 为 {smallest}。
- **分类器。** 无人审计时，由已校准的 Se 和 Sp 作 Rogan–Gladen 估计，仅用于排序：状态仍为 `insufficient`、`watch` 或 `hold`，依据记为 `rogan-gladen`；Se+Sp−1 < {least} 时不采用。
- **移除。** {removals}
""",
    between="、",
    scored="（得分不低于 {score}）",
    within={"split": "（同一切块内；出现在两个切块中的计两次）", "source": "（整个来源内）"},
    timing={
        "worst": "来源状态 = 自上次审查以来的累计与最近一批二者中较差者",
        "ignore": "来源状态 = 自上次审查以来全部计数的状态",
    },
    watch={
        "hold": "仅当规则集写明 `watch_use: allow` 时可用；默认暂停使用",
        "collect": "可采集，不用于训练：规则集写明 `watch_use: collect`",
        "allow": "可用：规则集写明 `watch_use: allow`",
    },
    insufficient={
        "hold": "不可用，也不列入黑名单。",
        "collect": "可采集，不用于训练；不列入黑名单。",
        "allow": "按规则集可用，不列入黑名单。",
    },
    removals="指规则隔离或丢弃的记录占全部记录之比，与来源状态无关。若 |p − q| > {moved} · √[(p 的半宽)² + (q 的半宽)²]（半宽为两个 Wilson 区间相向一侧的宽度，z={clean}；"
    "p 为现在，q 为上次发布），且 |p − q| ≥ {least_move}，则该来源移除率发生变动；若 p 的下限 ≥ {nearly}，则几乎全部被移除。此类来源{then}。可确定单独造成全部移除 {cause} 以上的词条或规则，予以列名。",
    then={
        "tell": "在报告中列名，状态不变",
        "hold": "转为 `hold`（暂停使用），直至有人具名确认；确认只对当时所见的数字有效",
    },
)
