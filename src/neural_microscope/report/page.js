"use strict";
// The page can be read without this: it follows the contents, opens what an address names, copies addresses, sorts and filters units.
(() => {
  const all = (what, inside = document) => [...inside.querySelectorAll(what)];

  // An address opens what it names.
  const open = () => {
    const there = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!there) return;
    there.querySelector(":scope > details")?.setAttribute("open", "");
    for (let one = there; one; one = one.parentElement) if (one.localName === "details") one.open = true;
    there.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();

  // The contents follow.
  const links = new Map(all("nav a").map((link) => [document.getElementById(link.hash.slice(1)), link]));
  const follow = () => {
    const passed = [...links.keys()].filter((one) => one && one.getBoundingClientRect().top < 120);
    for (const [one, link] of links) {
      if (one === passed.at(-1)) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  };
  addEventListener("scroll", () => requestAnimationFrame(follow), { passive: true });
  follow();

  // A heading's link is copied too.
  const said = document.body.appendChild(document.createElement("p"));
  said.className = "said";
  said.setAttribute("role", "status");
  for (const link of all("a.deep"))
    link.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(link.href);
        said.textContent = "Link copied";
        setTimeout(() => (said.textContent = ""), 2000);
      } catch {} // the address bar has it
    });

  // What is wider than its place says that it scrolls.
  const wide = new ResizeObserver((seen) => seen.forEach(({ target: one }) => one.toggleAttribute("data-wide", one.scrollWidth > one.clientWidth)));
  all("pre, .scroll").forEach((one) => wide.observe(one));

  // Tables of units.
  const number = (cell) => parseFloat(cell.textContent.replace("\u2212", "-").replace(/[^\d.-]*/, "").replace(/,/g, ""));
  for (const table of all("table.units")) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const heads = all("th.sorts", table);
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.append(...head.childNodes);
      head.append(button);
      head.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down < 0 ? "descending" : "ascending");
        const key = (row) => {
          const value = number(row.cells[place]);
          return Number.isNaN(value) ? row.cells[place].textContent : value;
        };
        const order = (a, b) => (typeof a === typeof b ? (a < b ? -down : a > b ? down : 0) : typeof a === "number" ? -1 : 1);
        body.append(...rows.toSorted((a, b) => order(key(a), key(b))));
      });
    });
    const tools = document.createElement("p");
    tools.className = "tools";
    const search = document.createElement("input");
    search.type = "search";
    const shown = document.createElement("input");
    shown.type = "checkbox";
    const label = (words, ...parts) => {
      const made = document.createElement("label");
      made.append(...parts, words);
      return made;
    };
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    tools.append(label("", "Filter rows ", search), label(" only with something shown", shown), count);
    table.closest(".scroll").before(tools);
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      for (const row of rows) {
        const cells = [...row.cells].map((cell) => cell.textContent.toLowerCase());
        row.hidden = (shown.checked && !row.querySelector(".verdict.shown")) || !words.every((word) => cells.some((cell) => cell.startsWith(word)));
      }
      count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
    };
    search.addEventListener("input", filter);
    shown.addEventListener("change", filter);
  }

  // All of it is printed.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open]):not(.numbers)");
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => closed.forEach((one) => (one.open = false)));
})();
