// Ways to get something that one should not get. Each is a few ordinary acts; the service judges them as it judges
// everybody's.

const BUY_FIRST = "Order something first.";

/** States of purchases that count towards what an account may have of an offer: those that wait, and the paid ones. */
const WAITING = ["ordered", "waitlisted", "prompted"];
const COUNTED = [...WAITING, "approving", "paying", "authorized", "fulfilled"];

/** What can be tried now: `can` is true, or says what is missing. */
export function cheats(play) {
  const { you, offers, timeline } = play;
  // Without its offer the tags of an order are not known.
  const known = you.purchases.filter((one) => play.offerOf(one.offer));
  const waits = known.findLast((one) => one.state === "prompted");
  const waiting = known.filter((one) => WAITING.includes(one.state));
  const most = (one) => play.offerOf(one.offer).per_account;
  const isAll = ({ offer }) => known.filter((one) => one.offer === offer && COUNTED.includes(one.state)).length >= most({ offer });
  const again = waiting.findLast(isAll) ?? waiting.at(-1);
  const offer = offers.find((one) => !you.purchases.some((bought) => bought.offer === one.id)) ?? offers[0];
  const ordered = waits && orderOf(you, waits);
  const prompt = timeline.promptOfAnother();
  const somebody = timeline.somebody();
  const linked = you.card ? true : "Link a card first.";
  const needs = (...conditions) => conditions.find((one) => one !== true) ?? true;
  const there = (thing, otherwise) => (thing ? true : otherwise);
  const tag = offer?.buy_tag;
  return [
    { title: "Confirm too late", text: "Winds the clock past the deadline, then tweets the confirm tag.",
      can: there(waits?.deadline, BUY_FIRST), go: () => late(play, waits) },
    { title: "Retweet somebody’s prompt", text: "Confirm with a prompt that was meant for another.",
      can: there(prompt, "Wait until a prompt to somebody shows in the timeline."),
      go: () => play.act("retweet", { post: prompt.id }) },
    { title: "Delete the order", text: "Delete your tweet while the order waits.",
      can: there(ordered, BUY_FIRST), go: () => play.act("delete", { post: ordered.id }) },
    { title: "Edit the tag away", text: "The order stands: what was tweeted was tweeted.",
      can: there(ordered, BUY_FIRST), go: () => play.act("edit", { post: ordered.id, text: "Never mind, I said nothing" }) },
    { title: "Order twice", text: "Tweet the buy tag again while the order waits.",
      can: !again ? BUY_FIRST : isAll(again) || `You may have ${most(again)} of these: order another first.`,
      go: () => play.tweet(`One more #${play.offerOf(again.offer).buy_tag}`) },
    { title: "Buy and confirm in one tweet", text: "Both tags at once.",
      can: needs(linked, there(tag, "No offers.")), go: () => play.tweet(`In one go: #${tag} #${offer.confirm_tag}`) },
    { title: "Quote as a joke", text: "“As if I’d ever …”, quoting somebody.",
      can: needs(linked, there(tag && somebody, "Nobody to quote yet.")),
      go: () => play.tweet(`As if I’d ever #${tag} 😂`, { quote_of: somebody.id }) },
    { title: "RT by hand", text: "“RT @…” with a buy tag in it.",
      can: needs(linked, there(tag && somebody, "Nobody to repeat yet.")),
      go: () => play.tweet(`lol RT @${somebody.handle}: you should all #${tag}`) },
    { title: "Confirm what nobody ordered", text: "A confirm tag out of the blue.",
      can: needs(linked, there(offer, "No offers.")), go: () => play.tweet(`#${offer.confirm_tag}`) },
    { title: "Buy with a suspended card", text: "The issuer suspends it, you order.",
      can: needs(linked, there(tag, "No offers.")),
      go: async () => (await play.act("suspend")) && play.tweet(`Quick, #${tag}`) },
    { title: "Buy from abroad", text: "Links the card anew with a billing address in New Zealand.",
      can: there(tag, "No offers."),
      go: async () => (await play.act("link", { country: "NZ" })) && play.tweet(`Kia ora! #${tag}`) },
    { title: "Buy without a card", text: "Unlinks it, then orders.",
      can: there(tag, "No offers."),
      go: async () => (you.card ? await play.act("unlink") : true) && play.tweet(`Put it on the tab: #${tag}`) },
  ];
}

/** The tweet that ordered a purchase, if it still stands. Events name its first version, which may have been no order. */
export function orderOf(you, purchase) {
  const ids = purchase.events.filter((event) => event.from === null).map((event) => event.post);
  const standing = you.posts.filter((post) => !post.deleted);
  return standing.findLast((post) => ids.includes(post.id)) ?? standing.find((post) => ids.includes(post.first));
}

async function late(play, { deadline, offer }) {
  const { confirm_tag } = play.offerOf(offer);
  // Not so late that it has ended before the confirm comes.
  if (!(await play.forward((deadline - play.now() + Math.min(45_000, play.lateness / 2)) / 1000))) return;
  await play.when(() => !play.clock.forward_to && play.now() > deadline);
  await play.tweet(`Sorry, I was away! #${confirm_tag}`);
}
