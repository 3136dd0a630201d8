// The pages work without this; it makes them follow what happens, tells times in the reader's own zone, and takes keys. No key and no timer changes anything.
"use strict";
(() => {
  const main = document.querySelector("main");
  const all = (selector, within = main) => [...within.querySelectorAll(selector)];
  const make = (tag, properties, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  // What the script has added is left alone when the page changes.
  const added = (tag, properties, ...children) => {
    const element = make(tag, properties, ...children);
    element.classList.add("added");
    return element;
  };

  // ---- Times ----

  const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
  const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
  const DATE = `\\d{1,2} (?:${MONTHS.join("|")})(?: \\d{4})?`;
  const AGO = new RegExp(`^(?:just now|yesterday|\\d+ (?:min|h|days) ago|${DATE})$`);
  const ON_DAY = new RegExp(`^(?:Today|Yesterday|${DATE})$`);
  const CLOCK = /^\d\d:\d\d:\d\d$/;
  let skew = 0; // how far the server's clock is before this one's
  let knowsSkew = false;

  const now = () => Date.now() + skew;
  const two = (number) => String(number).padStart(2, "0");
  const clockOf = (at) => `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const dateOf = (at) => {
    const year = at.getFullYear() === new Date(now()).getFullYear() ? "" : ` ${at.getFullYear()}`;
    return `${at.getDate()} ${MONTHS[at.getMonth()]}${year}`;
  };
  const startOfDay = (at) => new Date(at.getFullYear(), at.getMonth(), at.getDate());
  const dayOf = (at) => {
    const days = Math.round((startOfDay(new Date(now())) - startOfDay(at)) / DAY);
    return days === 0 ? "Today" : days === 1 ? "Yesterday" : dateOf(at);
  };
  // As fcgi/when.c tells it, with the reader's calendar.
  const agoOf = (at) => {
    const age = now() - at;
    if (age < -DAY) return dateOf(at);
    if (age < MINUTE) return "just now";
    if (age < HOUR) return `${Math.floor(age / MINUTE)} min ago`;
    if (age < DAY) return `${Math.floor(age / HOUR)} h ago`;
    if (age < 2 * DAY) return "yesterday";
    return age < 14 * DAY ? `${Math.floor(age / DAY)} days ago` : dateOf(at);
  };
  const lengthOf = (ms) => {
    if (ms < MINUTE) return `${Math.floor(ms / SECOND)} s`;
    if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min ${Math.floor((ms % MINUTE) / SECOND)} s`;
    return ms < 2 * DAY ? `${Math.floor(ms / HOUR)} h ${Math.floor((ms % HOUR) / MINUTE)} min` : `${Math.floor(ms / DAY)} days`;
  };
  const say = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };

  // What each time says by its form: a time of day, how long ago, or how long a step has been under way.
  const tellTimes = () => {
    for (const time of all("time[datetime]", document)) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      const text = time.textContent;
      if (time.classList.contains("took")) {
        if (knowsSkew) say(time, lengthOf(Math.max(0, now() - at)));
      } else if (CLOCK.test(text)) {
        const day = time.nextElementSibling;
        say(time, clockOf(at));
        if (day && ON_DAY.test(day.textContent)) say(day, dayOf(at));
      } else if (AGO.test(text)) {
        say(time, agoOf(at));
      }
      time.title ||= at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    }
  };
  const setSkew = (answer) => {
    const date = Date.parse(answer.headers.get("Date") ?? "");
    if (Number.isNaN(date)) return;
    if (!knowsSkew || Math.abs(date - now()) > 5 * SECOND) skew = date - Date.now();
    knowsSkew = true;
  };

  // ---- Copying ----

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false; // no permission, or no https
    }
  };
  const addCopyButtons = () => {
    for (const element of all("dd.copy, code.copy, .resources code.second")) {
      const isCode = element.tagName === "CODE";
      const place = isCode ? element.nextElementSibling : element.lastElementChild;
      if (place?.classList.contains("copier")) continue;
      const text = () => (isCode ? element : element.querySelector("bdi")).textContent;
      const button = added("button", { type: "button", className: "copier", textContent: "Copy" });
      button.addEventListener("click", async () => {
        if (await copied(text())) button.textContent = "Copied";
        else getSelection().selectAllChildren(isCode ? element : element.querySelector("bdi"));
        setTimeout(() => { button.textContent = "Copy"; }, 2 * SECOND);
      });
      button.setAttribute("aria-label", `Copy ${text()}`);
      if (isCode) element.after(button);
      else element.append(button);
    }
  };

  // ---- A changed page, put into the one that is shown: focus, scroll and what was typed stay ----

  const isChanged = (field) => field.type !== "hidden" && (field.tagName === "SELECT"
    ? [...field.options].some((option) => option.defaultSelected && !option.selected)
    : field.type === "checkbox" || field.type === "radio" ? field.checked !== field.defaultChecked : field.value !== field.defaultValue);
  const isEdited = (form) => [...form.elements].some((field) => "defaultValue" in field || field.tagName === "SELECT" ? isChanged(field) : false);
  const lastLine = (box) => box.querySelector(".line:last-of-type")?.id;
  // What is followed by itself, or is there already, stays as it is, with where the reader is in it.
  const isKeptLog = (shown, fresh) => (logIsHere() && (shown.classList.contains("log") || shown.id === "log-told" || shown.id === "log-note"))
    || (shown.classList.contains("log") && lastLine(shown) === lastLine(fresh));
  const keyOf = (node) => (node.nodeType !== Node.ELEMENT_NODE ? node.nodeType
    : `${node.tagName}#${node.id}.${node.classList[0] ?? ""}${node.tagName === "TR" ? node.querySelector("a[href]")?.getAttribute("href") ?? "" : ""}`);
  // Space between elements is neither compared nor kept by itself: it comes and goes with what it stands before.
  const isSpace = (node) => node?.nodeType === Node.TEXT_NODE && node.data.trim() === "";
  const isPassed = (node) => isSpace(node) || (node?.classList?.contains("added") ?? false);
  const past = (node) => {
    while (isPassed(node)) node = node.nextSibling;
    return node;
  };
  const remove = (node) => {
    if (isSpace(node.previousSibling)) node.previousSibling.remove();
    node.remove();
  };
  const insert = (parent, node, space, before) => parent.insertBefore(node, before) && space && node.before(space);

  // The node to change into `key`: what stands between is removed, unless it is wanted further on.
  const findSame = (at, key, wanted) => {
    while (at && keyOf(at) !== key) {
      if (wanted.get(keyOf(at)) > 0) return null;
      at = past(at.nextSibling);
    }
    return at;
  };

  const changeAttributes = (shown, fresh) => {
    for (const { name } of [...shown.attributes])
      if (!fresh.hasAttribute(name) && !(name === "title" && shown.tagName === "TIME")) shown.removeAttribute(name);
    for (const { name, value } of fresh.attributes)
      if (shown.getAttribute(name) !== value) {
        shown.setAttribute(name, value);
        if (name === "value" && shown.tagName === "INPUT") shown.value = value;
      }
  };

  const change = (shown, fresh) => {
    if (shown.nodeType !== Node.ELEMENT_NODE) {
      if (shown.data !== fresh.data) shown.data = fresh.data;
      return;
    }
    if ((shown.tagName === "FORM" && isEdited(shown)) || isKeptLog(shown, fresh)) return;
    changeAttributes(shown, fresh);
    changeChildren(shown, [...fresh.childNodes]);
  };

  const changeChildren = (shown, nodes) => {
    const children = nodes.filter((node) => !isSpace(node));
    const spaces = new Map(children.map((child) => [child, isSpace(child.previousSibling) ? child.previousSibling : null]));
    const wanted = new Map();
    for (const child of children) wanted.set(keyOf(child), (wanted.get(keyOf(child)) ?? 0) + 1);
    let at = past(shown.firstChild);
    for (const child of children) {
      const key = keyOf(child);
      wanted.set(key, wanted.get(key) - 1);
      const same = findSame(at, key, wanted);
      if (!same) {
        insert(shown, child, spaces.get(child), at);
        continue;
      }
      while (at !== same) {
        const gone = at;
        at = past(at.nextSibling);
        remove(gone);
      }
      at = past(same.nextSibling);
      change(same, child);
    }
    while (at) {
      const gone = at;
      at = past(at.nextSibling);
      remove(gone);
    }
  };

  // ---- The page, looked at again ----

  // Not while somebody selects, types, or is about to press something that could move away under them.
  const isBusy = () => document.hidden || (!getSelection().isCollapsed && main.contains(getSelection().anchorNode)) || document.querySelector("dialog[open]")
    || (main.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button:not(.added)"))
    || main.querySelector("button:hover:not(.added)") !== null;

  const page = { tag: null, whole: 0, unchanged: 0, failures: 0, timer: 0, ended: false };

  const pauseOf = () => {
    if (page.failures) return Math.min(60 * SECOND, 2 * SECOND * 2 ** page.failures) * (0.75 + Math.random() / 2);
    const moves = main.querySelector(".moves") !== null;
    return Math.min((moves ? 2 : 10) * SECOND * 1.3 ** page.unchanged, (moves ? 6 : 30) * SECOND);
  };
  // Some pages are always looked at again; any other as long as something on it is on its way.
  const isFollowed = () => !page.ended && main.querySelector(".follows, .moves") !== null;
  const lookIn = (ms) => {
    clearTimeout(page.timer);
    if (isFollowed()) page.timer = setTimeout(look, ms);
  };

  const tellState = (text) => {
    const state = document.getElementById("live-state");
    if (state) say(state, text);
  };
  const failed = () => {
    page.failures += 1;
    if (page.failures === 2) tellState(`berth does not answer: this page shows how it was at ${clockOf(new Date())}`);
  };

  const endPage = () => {
    page.ended = true;
    all(".moves .added").forEach((word) => word.remove());
  };

  const take = async (answer) => {
    const text = await answer.text();
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main");
    if (!fresh) return failed();
    if (isBusy()) return undefined; // meanwhile: it is asked for again
    page.tag = answer.headers.get("ETag");
    page.whole = Date.now();
    page.unchanged = 0;
    change(main, fresh);
    improve();
    return undefined;
  };

  // Once an hour whatever the version: forms' tokens grow old.
  const look = async () => {
    if (isBusy()) return lookIn(SECOND);
    try {
      const known = page.tag && Date.now() - page.whole < HOUR ? { "If-None-Match": page.tag } : {};
      const answer = await fetch(location.pathname + location.search, { cache: "no-store", redirect: "error", headers: known, signal: AbortSignal.timeout(20 * SECOND) });
      setSkew(answer);
      if (answer.status === 304) page.unchanged += 1;
      else if (answer.ok) await take(answer);
      else if (answer.status >= 500 || answer.status === 429) failed();
      else endPage(); // a form that was refused is shown here, or the sign-in is over
      if (answer.status < 500 && answer.status !== 429) {
        page.failures = 0;
        tellState("");
      }
    } catch {
      failed();
    }
    return lookIn(pauseOf());
  };

  // ---- A log that grows ----

  const LINES_MAX = 5000, CHUNK = 250, LINE_PX = 18;
  let log = null; // what is followed now
  const logIsHere = () => log !== null && log.lines.isConnected;

  const isAtEnd = () => log.scroller.scrollHeight - log.scroller.scrollTop - log.scroller.clientHeight < 2 * LINE_PX;
  const toEnd = () => {
    log.scroller.scrollTop = log.scroller.scrollHeight;
    log.top = log.scroller.scrollTop;
  };
  const setFollowing = (following) => {
    log.following = following;
    log.button.setAttribute("aria-pressed", String(following));
    if (following) toEnd();
  };

  const lineOf = ({ n, look: kind, text }) => {
    const line = make("span", { className: kind, id: `L${n}` }, make("a", { href: `#L${n}`, textContent: n }));
    if (kind.includes("bad")) line.append(make("span", { className: "hidden", textContent: " says why: " }));
    line.append(make("bdi", { textContent: text }), "\n");
    return line;
  };

  // Lines stand in chunks, which the browser lays out only where they are seen.
  const chunkWithRoom = () => {
    const last = log.lines.lastElementChild;
    if (last?.classList.contains("chunk") && last.childElementCount < CHUNK) return last;
    const chunk = make("span", { className: "chunk" });
    log.lines.append(chunk);
    return chunk;
  };
  const append = (lines) => {
    for (const line of lines) {
      const chunk = chunkWithRoom();
      chunk.append(lineOf(line));
      chunk.style.containIntrinsicSize = `auto ${chunk.childElementCount * LINE_PX}px`;
    }
    log.count += lines.length;
  };
  const dropOldest = () => {
    while (log.count > LINES_MAX) {
      const first = log.lines.firstElementChild;
      log.count -= first.classList.contains("chunk") ? first.childElementCount : 1;
      first.remove();
    }
  };

  const tellLog = () => {
    const first = Number(log.lines.querySelector(".line")?.id.slice(1)), last = log.next - 1;
    if (!first) return;
    const text = (number) => number.toLocaleString("en");
    const soFar = log.complete ? "" : " so far";
    say(document.getElementById("log-told"), first === 1 ? `${text(last)} line${last === 1 ? "" : "s"}${soFar}` : `Lines ${text(first)} to ${text(last)}${soFar}`);
  };

  // A frame's worth at a time. Only who follows loses the oldest lines; who reads above keeps all, and the rest waits.
  const draw = () => {
    log.drawing = false;
    append(log.pending.splice(0, CHUNK));
    if (log.following) {
      dropOldest();
      if (getSelection().isCollapsed) toEnd();
    }
    if (log.pending.length) return drawSoon();
    tellLog();
    requestAnimationFrame(() => { if (log.following && getSelection().isCollapsed) toEnd(); }); // now that it is laid out
    return log.complete ? endLog() : readIn(log.more ? 0 : log.pause);
  };
  const drawSoon = () => {
    if (log.drawing) return;
    log.drawing = true;
    requestAnimationFrame(draw);
  };

  const endLog = () => {
    log.ended = true;
    log.button.hidden = true;
    clearTimeout(log.timer);
  };
  const startOver = (build) => {
    log.lines.replaceChildren();
    Object.assign(log, { build, next: 1, count: 0, pending: [] });
  };

  const takeLines = (reply) => {
    if (reply.build !== log.build) startOver(reply.build); // the release is built anew
    const lines = reply.lines.filter((line) => line.n >= log.next);
    if (lines.length && lines[0].n > log.next && log.count)
      lines.unshift({ n: log.next, look: "line agent", text: `... up to line ${lines[0].n - 1} no more kept here` });
    log.pending.push(...lines);
    log.next = Math.max(log.next, reply.next);
    log.complete = reply.complete;
    log.more = lines.length > CHUNK;
    log.pause = lines.length ? SECOND : Math.min(log.pause * 1.5, 4 * SECOND);
    say(document.getElementById("log-note").firstElementChild, reply.note);
    drawSoon();
  };

  const read = async () => {
    const mine = log;
    if (!logIsHere() || log.ended) return;
    if (document.hidden || (log.count >= LINES_MAX && !log.following)) return readIn(SECOND);
    try {
      const query = new URLSearchParams({ from: log.next, build: log.build });
      const answer = await fetch(`${log.path}?${query}`, { cache: "no-store", headers: log.tag ? { "If-None-Match": log.tag } : {}, signal: AbortSignal.timeout(20 * SECOND) });
      if (mine !== log) return;
      if (answer.ok) {
        log.tag = answer.headers.get("ETag");
        return takeLines(await answer.json());
      }
      if (answer.status !== 304 && answer.status < 500 && answer.status !== 429) return endLog();
      log.pause = Math.min(log.pause * 1.5, (answer.status === 304 ? 4 : 30) * SECOND);
    } catch {
      log.pause = Math.min(log.pause * 2, 30 * SECOND);
    }
    readIn(log.pause);
  };
  const readIn = (ms) => {
    clearTimeout(log.timer);
    log.timer = setTimeout(read, ms);
  };

  // At first where it says why, else at its end.
  const placeTail = (box) => {
    const why = box.querySelector(".bad");
    box.classList.add("live");
    box.scrollTop = why ? why.offsetTop - box.clientHeight / 2 : box.scrollHeight;
  };

  // Up is the reader's doing: lines that come only ever lead down.
  const scrolled = () => {
    if (!logIsHere() || log.ended) return;
    const isUp = log.scroller.scrollTop < log.top - 2;
    log.top = log.scroller.scrollTop;
    if (isAtEnd() !== log.following && (isUp || isAtEnd())) setFollowing(isAtEnd());
  };

  const followLog = () => {
    const link = document.getElementById("log-next"), lines = document.getElementById("log-lines");
    const box = lines?.parentElement;
    if (box?.classList.contains("tail") && !box.classList.contains("live") && !box.querySelector(":target")) placeTail(box);
    if (!link) return;
    const query = new URL(link.href).searchParams;
    if (logIsHere()) {
      if (log.ended && log.build !== query.get("build")) {
        Object.assign(log, { ended: false, complete: false });
        log.button.hidden = false;
        readIn(0);
      }
      return;
    }
    const button = added("button", { type: "button", className: "button", id: "follow", textContent: "Follow" });
    log = { lines, button, scroller: box.classList.contains("tail") ? box : document.scrollingElement, path: new URL(link.href).pathname,
      next: Number(query.get("from")), build: query.get("build"), count: lines.childElementCount, pending: [], tag: null, pause: SECOND, complete: false, ended: false,
      drawing: false, top: 0 };
    document.getElementById("log-told").after(button);
    setFollowing(isAtEnd() && !location.hash);
    button.addEventListener("click", () => setFollowing(!log.following));
    (log.scroller === box ? box : document).addEventListener("scroll", scrolled, { passive: true });
    readIn(0);
  };

  // ---- Keys ----

  const KEYS = [["/", "search"], ["j", "next row"], ["k", "row before"], ["Enter", "open the row"], ["g a", "apps"], ["g d", "deliveries"], ["g l", "limits"],
    ["g u", "audit log"], ["[", "previous page"], ["]", "next page"], ["f", "follow the log"], ["?", "this list"]];
  const PLACES = { a: "/", d: "/deliveries", l: "/limits", u: "/audit" };
  const keysAreOn = () => {
    try {
      return localStorage.getItem("berth-keys") !== "off";
    } catch {
      return true; // the browser keeps nothing
    }
  };
  let afterG = 0;

  const moveRow = (step) => {
    const rows = all("tbody tr").map((row) => row.querySelector("a[href]")).filter((link) => link?.offsetParent);
    const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
    const to = rows[at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step))];
    to?.focus();
    to?.closest("tr").scrollIntoView({ block: "nearest" });
  };
  const search = () => {
    const field = main.querySelector("input[type=search]");
    if (!field) return location.assign("/#search");
    field.focus();
    return field.select();
  };
  const showKeys = () => {
    const list = make("dl", { className: "keys" }, ...KEYS.map(([key, word]) => make("div", {}, make("dt", {}, make("kbd", { textContent: key })), make("dd", { textContent: word }))));
    const close = make("button", { className: "button", textContent: "Close" });
    const dialog = make("dialog", { className: "box" }, make("h2", { id: "keys-title", textContent: "Keyboard shortcuts" }), list, make("form", { method: "dialog" }, close));
    dialog.setAttribute("aria-labelledby", "keys-title");
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  };
  const ACTIONS = {
    "/": search,
    "j": () => moveRow(1),
    "k": () => moveRow(-1),
    "[": () => (main.querySelector("a[rel=prev]") ?? main.querySelector(".paging a:not([rel=next])"))?.click(),
    "]": () => main.querySelector("a[rel=next]")?.click(),
    "f": () => document.getElementById("follow")?.click(),
    "?": showKeys,
  };
  const takeKey = (event) => {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || typing || !keysAreOn() || document.querySelector("dialog[open]")) return;
    const place = Date.now() - afterG < 1500 ? PLACES[event.key] : undefined;
    afterG = event.key === "g" ? Date.now() : 0;
    if (place) location.assign(place);
    else if (Object.hasOwn(ACTIONS, event.key)) ACTIONS[event.key]();
    else return;
    event.preventDefault();
  };

  // ---- The foot of the page ----

  const addFoot = () => {
    const foot = document.querySelector("footer");
    const zone = [...foot.children].find((part) => part.textContent.startsWith("Times in UTC"));
    const box = make("input", { type: "checkbox", checked: keysAreOn() });
    const list = make("button", { type: "button", className: "copier", textContent: "List" });
    if (zone) zone.textContent = `Times in ${Intl.DateTimeFormat().resolvedOptions().timeZone}; hover for the full time`;
    list.setAttribute("aria-label", "List of keyboard shortcuts");
    list.addEventListener("click", showKeys);
    box.addEventListener("change", () => localStorage.setItem("berth-keys", box.checked ? "on" : "off"));
    foot.append(make("span", { className: "switch" }, make("label", {}, box, " Keyboard shortcuts"), " ", list));
    const state = make("span", { id: "live-state" });
    state.setAttribute("role", "status");
    foot.append(state);
  };

  // ---- All of it ----

  const improve = () => {
    const moves = main.querySelector(".moves");
    if (moves && !moves.querySelector(".added") && isFollowed()) moves.append(added("span", { textContent: " This page follows by itself." }));
    tellTimes();
    addCopyButtons();
    followLog();
  };

  addFoot();
  improve();
  document.addEventListener("keydown", takeKey);
  if (location.hash === "#search") main.querySelector("input[type=search]")?.focus();
  setInterval(() => { if (!document.hidden) tellTimes(); }, SECOND);
  lookIn(2 * SECOND);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) lookIn(0); });
})();
