/* Poll clock, countdowns, dialogs, copying, boxes, keys. No page needs it. */
const doc = document, root = doc.documentElement, id = name => doc.getElementById(name);
const $ = (selector, from = doc) => from.querySelector(selector);
const $$ = (selector, from = doc) => [...from.querySelectorAll(selector)];
const listen = (types, run, options) => types.split(" ").forEach(type => doc.addEventListener(type, run, options));
const on = (types, selector, run, options) => listen(types, e => { const el = e.target.closest?.(selector); if (el) run(el, e); }, options);
const make = (tag, textContent, className) => Object.assign(doc.createElement(tag), { textContent, className });

/* Words: heard by readers; seen for 6 s; seen for as long as they hold */
const say = text => id("said").replaceChildren(text);
const fade = p => setTimeout(() => (p.matches(":hover, :focus-within") ? fade(p) : p.remove()), 6e3);
const toast = text => { const p = make("p", text, "toast"); id("toasts").append(p); fade(p); };
let told = "";
function notice(text = "", label, act = () => location.reload()) {
  if (told === text) return;
  told = text;
  const p = make("p", text, "toast"), button = make("button", label, "btn");
  button.onclick = act;
  if (label) p.append(button);
  id("notice").replaceChildren(...text ? [p] : []);
}

/* Time left and passed, by the server's clock */
const skew = $("meta[name=now]") ? $("meta[name=now]").content - Date.now() : 0;
function span(ms, rough) {
  const s = Math.max(0, ms) / 1e3 | 0, m = s / 60 | 0, h = m / 60 | 0, d = h / 24 | 0;
  const two = (a, unit, b, part) => `${a} ${unit}` + (rough || !b ? "" : ` ${b} ${part}`);
  return d > (rough ? 1 : 0) ? two(d, d > 1 ? "days" : "day", h % 24, "h") : h ? two(h, "h", m % 60, "min") : m ? two(m, "min", s % 60, "s") : `${s} s`;
}
function tick() {
  if (doc.hidden) return;
  for (const el of $$("time[data-tick]")) {
    const left = Date.parse(el.dateTime) - Date.now() - skew, way = el.dataset.tick;
    const text = way === "ago" ? `${span(-left, true)} ago` : way === "up" ? span(-left) : left < 1e3 ? "now" : `in ${span(left)}`;
    if (way !== "ago") el.ariaHidden = "true";
    if (el.textContent !== text) el.textContent = text;
  }
}

/* Theme and zone: cookies that the server reads */
const keep = (name, value) => doc.cookie = `${name}=${value};path=/;max-age=31536000;samesite=lax`;
const home = Intl.DateTimeFormat().resolvedOptions().timeZone, { zone } = root.dataset;
function useZone(name) {
  keep("zone", name);
  if (!$("main[tabindex]") || unsaved) return;
  for (const b of $$("[data-prefer=zone] button")) b.ariaPressed = b.value === name;
  htmx.ajax("GET", location.href, { target: "#main", select: "#main", swap: "outerMorph" });
}
on("submit", "form[data-prefer]", (form, e) => {
  const { name, value } = e.submitter;
  e.preventDefault();
  release(form);
  if (name === "zone") return useZone(value);
  keep(name, value);
  root.dataset.theme = $("meta[name=color-scheme]").content = value === "system" ? "light dark" : value;
  e.submitter.closest("details").open = false;
});

/* The poll clock: names the tag of what is shown, waits as long as the server says */
let inputAt = Date.now(), goodAt = inputAt, fails = 0, signedOut, paused = localStorage.live === "off";
const pollAll = () => $$("[data-live]").forEach(poll);
const wait = (el, seconds) => { clearTimeout(el.timer); el.timer = setTimeout(poll, seconds * 1e3, el); };
function poll(el) {
  if (!el.isConnected || signedOut || paused || doc.hidden) return;
  if (Date.now() - inputAt > 18e5) notice("Updates paused.", "Resume", () => { inputAt = Date.now(); notice(); pollAll(); });
  else el.dispatchEvent(new Event("poll"));
}
/* New rows wait behind a pill while somebody reads */
function isAtRest(el) {
  const list = $(el.getAttribute("hx-target"));
  return scrollY < 8 && list && !list.contains(doc.activeElement) && !$("[name=open], :checked, [open]", list);
}
function showAttention(count) {
  const badge = id("attention"), icon = $("link[rel=icon]");
  if (!badge || !count) return;
  badge.hidden = !+count;
  badge.firstElementChild.textContent = count;
  icon.href = icon.dataset[+count ? "failing" : "calm"];
}
listen("htmx:config:request", e => {
  const { request, sourceElement: el } = e.detail.ctx;
  request.action = request.submitter?.getAttribute("formaction") || request.action;
  if (request.method !== "GET") request.headers["X-CSRFToken"] = $("meta[name=csrf-token]").content;
  if (!el.dataset.live) return;
  if (el.dataset.etag) request.headers["If-None-Match"] = el.dataset.etag;
  if (isAtRest(el)) request.body.delete("top");
});
listen("htmx:finally:request", e => {
  const { sourceElement: el, response } = e.detail.ctx, status = response?.status || 0, { live } = el.dataset;
  release(el.closest("form"));
  if ((signedOut = status === 401)) return notice("You were signed out.", "Sign in");
  if (!live) {
    if (!status || status > 499) notice(status ? "Something broke on our side." : "Not connected.", "Try again");
    else if ([403, 404].includes(status)) notice("That can't be done any more.", "Show what is there now");
  } else if (status && status < 500) {
    fails = 0;
    goodAt = Date.now();
    notice();
    const header = name => response.headers.get(name);
    if (status === 200) { el.dataset.etag = header("ETag") || ""; showAttention(header("Postroom-Attention")); }
    if (status < 400) wait(el, header("Postroom-Poll") || live);
  } else {
    if (fails++) notice(`Not connected. Showing ${new Date(goodAt).toLocaleTimeString("en-GB", { timeZone: zone })}.`);
    wait(el, Math.min(60, 2 ** fails / 2));
  }
});
listen("pointermove keydown visibilitychange", () => inputAt = Date.now(), true);
listen("visibilitychange", () => { tick(); pollAll(); });
on("click", "[data-pause]", () => { localStorage.live = (paused = !paused) ? "off" : "on"; showPause(); pollAll(); });
const showPause = () => root.toggleAttribute("data-paused", paused);

/* A state that changed is tinted for a moment; the switch that was pressed keeps the focus */
let states, switched;
const badges = () => $$("tr[id] .badge").map(badge => [badge.closest("tr").id, badge.dataset.state, badge.closest("td").dataset]);
listen("htmx:before:swap", () => {
  states = new Map(badges());
  switched = doc.activeElement.matches("[role=switch]") && doc.activeElement.closest("tr")?.id;
});
listen("htmx:after:swap", () => {
  if (switched && doc.activeElement === doc.body) $("[role=switch]", id(switched))?.focus();  /* it may be another element now */
  for (const [row, state, cell] of badges()) if ((states.get(row) || state) !== state) { cell.changed = ""; setTimeout(() => delete cell.changed, 1200); }
  refresh();
});
/* htmx 4 stops modified clicks on links, then does not act on them */
const held = e => e.ctrlKey || e.metaKey || e.altKey;
listen("click", e => { if ((held(e) || e.shiftKey) && e.target.closest?.("a[href]")) e.stopPropagation(); }, true);
const beside = ({ pathname, search }, name, target, replace) => htmx.ajax("GET", `${pathname}/${name}${search}`, { target, swap: "innerMorph", replace: replace && pathname + search });
on("click", ".opener", (link, e) => { e.preventDefault(); beside(link, "rows", "#rows", true); });

/* A dialog holds the page it links to */
async function ask(url, opener) {
  const dialog = id("dialog"), body = id("dialog-body");
  await htmx.ajax("GET", url, { target: body, swap: "innerHTML" });
  if (!body.firstElementChild) return signedOut || location.assign(url);
  dialog.showModal();
  $("h2", body)?.focus();
  dialog.onclose = () => { body.replaceChildren(); (opener.closest(".menu")?.firstElementChild || opener).focus(); };
}
on("click", "a[data-dialog]", (link, e) => { e.preventDefault(); ask(link.href, link); });
on("submit", "form[data-dialog]", (form, e) => { e.preventDefault(); ask(`${form.action}?${new URLSearchParams(new FormData(form))}`, e.submitter); });
on("click", "dialog", (dialog, e) => {
  const out = e.target.closest("[data-close]");
  if (out) e.preventDefault();
  if (out || e.target === dialog) dialog.close();
});

/* Copying; on plain http a browser has no clipboard */
function copyByHand(text, button) {
  const area = make("textarea", text, "sr");
  button.after(area);
  area.select();
  const done = doc.execCommand("copy");
  area.remove();
  button.focus();
  if (!done) throw Error();
}
on("click", "[data-copy]", async button => {
  const { copy, copyFrom, copyUrl } = button.dataset;
  try {
    const answer = copyUrl && await fetch(copyUrl);
    if (answer && !answer.ok) throw Error();
    const text = answer ? await answer.text() : copyFrom ? id(copyFrom).textContent : copy;
    await (navigator.clipboard?.writeText(text) || Promise.reject()).catch(() => copyByHand(text, button));
    button.dataset.done = "";
    setTimeout(() => delete button.dataset.done, 1500);
    say("Copied");
  } catch { toast("Not copied. Copy it by hand."); }
});

/* A form goes once, and says so when it is left unsaved */
let unsaved;
const busy = form => [...form?.elements || []].filter(b => b.ariaBusy), release = form => busy(form).forEach(b => { b.ariaBusy = b.ariaDisabled = null; });
on("submit", "form[method=post]", (form, e) => {
  if (form.id === "deeds" ? e.submitter.ariaBusy : busy(form)[0]) e.preventDefault(e.stopPropagation());
  else if (e.submitter) e.submitter.ariaBusy = e.submitter.ariaDisabled = "true";
  if (form === unsaved) unsaved = 0;
}, true);
on("input change", "form[data-guard]", form => unsaved = form);
addEventListener("beforeunload", e => unsaved?.isConnected && e.preventDefault());
on("click", "[data-show]", button => {
  const field = id(button.dataset.show), show = field.type === "password";
  field.type = show ? "text" : "password";
  button.ariaPressed = show;
  button.lastChild.textContent = show ? "Hide" : "Show";
});

/* Boxes over boxes, their counts, and a search among them */
const boxes = (group, more = "") => $$(`[type=checkbox]:not([data-all])${more}`, group);
function count(group) {
  const of = boxes(group).length, chosen = boxes(group, ":checked").length;
  for (const el of $$("[data-all], [data-count], [data-when-chosen]", group)) {
    if (el.closest("[data-group]") !== group) continue;
    if ("all" in el.dataset) { el.checked = of && chosen === of; el.indeterminate = chosen && chosen < of; }
    else if ("count" in el.dataset) el.textContent = chosen;
    else el.hidden = !chosen;
  }
}
const countAll = () => $$("[data-group]").forEach(count);
on("change", "[data-group] [type=checkbox]", box => {
  if ("all" in box.dataset) for (const one of boxes(box.closest("[data-group]"))) if (!one.closest("[hidden]")) one.checked = box.checked;
  countAll();
});
on("input", "[data-find]", field => {
  const list = id(field.dataset.find), word = field.value.trim().toLowerCase();
  for (const item of $$("li", list)) item.hidden = !item.textContent.toLowerCase().includes(word);
  for (const kind of $$(".kind", list)) { kind.hidden = !$("li:not([hidden])", kind); if (word) $("details", kind).open = true; }
  say(`${$$("li:not([hidden])", list).length} found`);
});

/* Menus close on leaving; those of the list are fetched when opened */
listen("toggle", ({ target: el }) => { if (el.open && "more" in el.dataset) beside($(".title", el.closest("tr")), "menu", el.lastChild); }, true);
listen("click focusin", e => $$(".menu[open]").forEach(menu => { if (!menu.contains(e.target)) menu.open = false; }));

/* Keys: never in fields, never with modifiers */
let prefix = 0;
function row(step) {
  const rows = $$("main tbody tr:not(.detail)"), tr = doc.activeElement.closest("tr"), at = rows.indexOf(tr?.matches(".detail") ? tr.previousElementSibling : tr);
  return rows[step && at < 0 ? 0 : at + step] || rows[at];
}
const ROWS = { j: [1, ".title"], k: [-1, ".title"], e: [0, ".opener"], x: [0, "[type=checkbox]"] };
listen("keydown", e => {
  if (e.key === "Escape") for (const menu of $$(".menu[open]")) { menu.open = false; menu.firstElementChild.focus(); }
  if (!("keys" in doc.body.dataset) || held(e) || $("dialog[open]")) return;
  if (e.target.closest("textarea, select, input:not([type=checkbox], [type=radio])")) return;
  const key = (prefix > Date.now() ? "g " : "") + e.key, [step, part] = ROWS[key] || [];
  prefix = key === "g" ? Date.now() + 1500 : 0;
  const el = part ? row(step)?.querySelector(part) : $(`[data-key="${CSS.escape(key)}"]`);
  if (!el) return;
  e.preventDefault();
  if (part === ".title" || el.matches("[type=search]")) el.focus(); else el.click();
});

function refresh() {
  tick();
  countAll();
  for (const el of $$("[data-live]")) if (!el.timer) wait(el, el.dataset.live);
}
const mine = $("[data-prefer=zone] [hidden]");
if (mine && home !== "UTC") Object.assign(mine, { value: home, title: home, textContent: home.split("/").pop().replaceAll("_", " "), hidden: false });
if (zone !== home && !/\bzone=/.test(doc.cookie)) listen("DOMContentLoaded", () => useZone(home));
$$(".toast").forEach(fade);
onload = () => $("[data-focus],tr:target .title")?.focus();
showPause();
refresh();
setInterval(tick, 1e3);
