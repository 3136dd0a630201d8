// The pages work without this. It writes the full time, in the reader's own zone, behind each <time>, and follows what is on its way.
const tellTimes = (within) => {
  for (const time of within.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
  }
};

// A page without .moves has nothing on its way. One that the reader is working in (text selected, a link focused) is left alone for the moment.
const follow = async () => {
  const main = document.querySelector("main");
  if (!main.querySelector(".moves")) return;
  const busy = document.hidden || !getSelection().isCollapsed || main.contains(document.activeElement);
  try {
    const answer = busy ? null : await fetch(location.href, { headers: { Accept: "text/html" } });
    const fresh = answer && answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main") : null;
    if (fresh && fresh.innerHTML !== main.dataset.shown) {
      const shown = fresh.innerHTML;
      main.replaceChildren(...fresh.childNodes);
      main.dataset.shown = shown;
      tellTimes(main);
    }
  } catch {
    // The server is away: the next look may find it.
  }
  setTimeout(follow, 3000);
};

tellTimes(document);
setTimeout(follow, 3000);
