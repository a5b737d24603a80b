// What states, reasons and replies mean, in words for people.

/** Why a verdict fell, by its typed reason. */
export const REASONS = {
  not_linked: "No card is linked to this account.",
  card_not_active: "The linked card is not active.",
  frozen: "The account is frozen until it is linked anew.",
  country: "The offer is not for the card’s country.",
  not_open: "The offer is not open at the time of the tweet.",
  stale: "The tweet is older than a buy may be.",
  duplicate: "There is an order already; one account may have no more of this offer.",
  limit_pending: "Too many orders wait already.",
  limit_purchases: "The day’s number of purchases is reached.",
  limit_spend: "The day’s spending is reached.",
  sold_out: "Nothing is left.",
  retweet: "A retweet of somebody else’s words never buys or confirms.",
  manual_retweet: "“RT @…” repeats somebody else’s words: it never buys, and confirms only the service’s own prompt.",
  quote: "A quote never buys: it could be a joke.",
  both_tags: "A tweet that carries a buy tag confirms nothing, so one tweet can’t do both.",
  late: "The confirm was tweeted after the deadline.",
  overloaded: "The service keeps as much as it may and takes no new orders.",
  no_purchase: "There is no order that this could confirm.",
  deleted: "The tweet that ordered was deleted.",
  cancelled_by_user: "You cancelled it.",
  unlinked: "The card was unlinked.",
  prompt_failed: "The prompt could not be posted.",
  declined: "The card was declined.",
};

export const STATES = {
  ordered: "Ordered",
  waitlisted: "In line",
  prompted: "Waits for you",
  approving: "Waits for an approval",
  paying: "Paying",
  authorized: "Paid",
  fulfilled: "Paid and shipped",
  rejected: "Refused",
  sold_out: "Sold out",
  expired: "Expired",
  cancelled: "Cancelled",
  declined: "Declined",
};

/** The same for whoever looks on. */
export const ASIDE = { ...STATES, prompted: "Waits for a confirm" };

/** Colours of badges: good, wait, bad or plain. */
export function mood(state) {
  if (state === "authorized" || state === "fulfilled") return "good";
  if (state === "prompted" || state === "ordered" || state === "waitlisted") return "wait";
  return state === "rejected" || state === "expired" || state === "sold_out" || state === "declined" ? "bad" : "plain";
}

/** One transition as a sentence. */
export function told({ from, to, reason }) {
  if (from === to) return `Confirm refused`;
  if (!from && to === "rejected") return "Order refused";
  if (to === "prompted") return "Prompted";
  return STATES[to] ?? to;
}

export function why(reason) {
  return reason ? REASONS[reason] ?? reason.replaceAll("_", " ") : undefined;
}
