"use strict";
(() => {
  const HEIGHT = 58, AHEAD = 8, PREVIEW = 180, FIRST = 20000;
  const FILTERS = ["writer", "task", "strategy", "verdict", "fate", "kind"];
  // what cannot be seen or turns text round; a joiner inside an emoji is part of it
  const UNSEEN = /(?![\n\t])(?!(?<=\p{Extended_Pictographic}[\ufe0f\u{1f3fb}-\u{1f3ff}]?)\u200d\p{Extended_Pictographic})[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;
  const at = (id) => document.getElementById(id);
  const list = at("list"), rows = at("rows"), detail = at("detail"), search = at("search");
  let data, texts, shown = new Int32Array(0), length = 0, chosen = -1;

  function element(tag, name, ...children) {
    const made = document.createElement(tag);
    if (name) made.className = name;
    made.append(...children);
    return made;
  }

  // the text with every unseen character as a chip that tells its code
  function visible(text) {
    const parts = [];
    let end = 0, last = null;
    for (const found of text.matchAll(UNSEEN)) {
      const code = found[0].codePointAt(0);
      if (last && last.code === code && found.index === end) {
        last.times += 1;
      } else {
        if (found.index > end) parts.push(text.slice(end, found.index));
        last = { code, times: 1 };
        parts.push(last);
      }
      end = found.index + found[0].length;
    }
    if (end < text.length) parts.push(text.slice(end));
    return parts.map((part) => typeof part === "string" ? part : element("span", "unseen", "U+" + part.code.toString(16).toUpperCase().padStart(4, "0") + (part.times > 1 ? " × " + part.times.toLocaleString("en") : "")));
  }

  function box(name, text, mark) {
    const made = element("pre", name);
    made.dir = "auto";
    const put = (limit) => {
      const parts = [];
      const [from, to] = mark || [limit, limit];
      parts.push(...visible(text.slice(0, Math.min(from, limit))));
      if (mark && from < limit) parts.push(element("mark", "", ...visible(text.slice(from, to))), ...visible(text.slice(to, Math.max(to, limit))));
      made.replaceChildren(...parts);
    };
    put(FIRST);
    if (text.length <= FIRST) return [made];
    const more = element("button", "", "show all " + text.length.toLocaleString("en") + " characters");
    more.type = "button";
    more.addEventListener("click", () => { put(text.length); more.remove(); });
    return [made, more];
  }

  function name(column, row) { return data.names[column][data.rows[column][row]]; }

  function prompt(row) {
    const number = data.rows.prompt[row];
    if (!number) return [];
    const [frame, ...middles] = data.asked[number - 1];
    return data.frames[frame].map(([role, before, after], place) => {
      const middle = middles[place] ? data.texts[middles[place] - 1] : data.questions[data.rows.question[row]];
      return [role, before + middle + after];
    });
  }

  function show(row) {
    const held = data.rows, verdict = name("verdict", row), kind = name("kind", row), answer = held.answer[row];
    const facts = element("dl", "facts");
    const fact = (title, ...told) => facts.append(element("dt", "", title), element("dd", "", ...told));
    fact("written by", name("writer", row));
    if (name("strategy", row)) fact("strategy", name("strategy", row));
    fact("verdict", element("span", verdict === "right" ? "right" : "wrong", verdict), kind ? ", " + kind : "");
    fact("answer read", ...(answer === null ? ["none"] : visible(answer)));
    fact("gold", ...visible(held.gold[row]));
    fact("what became of it", ...visible(name("fate", row) + (held.note[row] ? " (" + held.note[row] + ")" : "")));
    if (held.tokens[row]) fact("new tokens", held.tokens[row].toLocaleString("en"));
    fact("characters", held.text[row].length.toLocaleString("en"));
    const parts = [element("h3", "", ...visible(title(row))), facts, element("h4", "", "Question"), ...box("", data.questions[held.question[row]])];
    const options = data.options[held.options[row]];
    if (options.length) parts.push(element("h4", "", "Options"), ...box("", options.map((text, place) => String.fromCharCode(65 + place) + ") " + text).join("\n")));
    parts.push(element("h4", "", "Text as written, the answer marked"), ...box("said", held.text[row], held.mark[row]));
    const asked = prompt(row);
    if (asked.length) {
      const folded = element("details", "", element("summary", "", "Prompt as sent"));
      for (const [role, text] of asked) folded.append(element("h4", "", role), ...box("", text));
      parts.push(folded);
    } else {
      parts.push(element("p", "note", "No prompt was sent for this text."));
    }
    detail.replaceChildren(...parts);
    detail.scrollTop = 0;
  }

  function title(row) { return data.rows.row[row] + (data.rows.sample[row] === "0" ? "" : ", sample " + data.rows.sample[row]); }

  function option(place) {
    const row = shown[place], verdict = name("verdict", row);
    const text = data.rows.text[row].slice(0, PREVIEW).replace(/\s+/g, " ");
    const preview = element("div", "preview", ...visible(text));
    preview.dir = "auto";
    const made = element("div", "row",
      element("div", "head", element("span", "name", ...visible(title(row) + " · " + name("writer", row))), element("span", verdict === "right" ? "right" : "wrong", verdict)), preview);
    made.id = "at" + place;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", String(place === chosen));
    made.setAttribute("aria-posinset", String(place + 1));
    made.setAttribute("aria-setsize", String(length));
    made.style.top = place * HEIGHT + "px";
    return made;
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - AHEAD);
    const last = Math.min(length, Math.ceil((list.scrollTop + list.clientHeight) / HEIGHT) + AHEAD);
    const made = [];
    for (let place = first; place < last; place += 1) made.push(option(place));
    rows.replaceChildren(...made);
    if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", "at" + chosen);
    else list.removeAttribute("aria-activedescendant");
  }

  function choose(place) {
    if (!length) return;
    chosen = Math.max(0, Math.min(length - 1, place));
    const top = chosen * HEIGHT;
    if (top < list.scrollTop) list.scrollTop = top;
    else if (top + HEIGHT > list.scrollTop + list.clientHeight) list.scrollTop = top + HEIGHT - list.clientHeight;
    draw();
    show(shown[chosen]);
  }

  function filter() {
    const start = performance.now();
    const wanted = FILTERS.map((column) => [data.rows[column], Number(at("by-" + column).value)]).filter(([, value]) => value >= 0);
    const words = search.value.toLowerCase();
    length = 0;
    for (let row = 0; row < texts.length; row += 1) {
      if (wanted.every(([column, value]) => column[row] === value) && (!words || texts[row].includes(words))) shown[length++] = row;
    }
    rows.style.height = length * HEIGHT + "px";
    list.scrollTop = 0;
    chosen = -1;
    at("count").textContent = length === texts.length ? length.toLocaleString("en") + " texts" : length.toLocaleString("en") + " of " + texts.length.toLocaleString("en") + " texts";
    if (length) choose(0);
    else { draw(); detail.replaceChildren(element("p", "note", "No text matches.")); }
    performance.measure("filter", { start, end: performance.now() });
  }

  function fill() {
    for (const column of FILTERS) {
      const counts = data.names[column].map(() => 0);
      for (const value of data.rows[column] || []) counts[value] += 1;
      data.names[column].forEach((told, value) => {
        const made = element("option", "", (told || "none") + " (" + counts[value].toLocaleString("en") + ")");
        made.value = String(value);
        at("by-" + column).append(made);
      });
      at("by-" + column).addEventListener("change", filter);
    }
    search.addEventListener("input", filter);
    at("filters").addEventListener("reset", () => setTimeout(filter));
    at("filters").addEventListener("submit", (event) => event.preventDefault());
    list.addEventListener("scroll", draw, { passive: true });
    list.addEventListener("click", (event) => {
      const found = event.target.closest(".row");
      if (found) { choose(Number(found.id.slice(2))); if (innerWidth <= 800) detail.scrollIntoView(); }
    });
    for (const button of document.querySelectorAll(".go")) {
      button.addEventListener("click", () => {
        at("filters").reset();
        for (const column of ["kind", "writer"]) at("by-" + column).value = String(data.names[column].indexOf(button.dataset[column]));
        setTimeout(() => { at("browser").scrollIntoView(); list.focus({ preventScroll: true }); });
      });
    }
    document.addEventListener("keydown", pressed);
    addEventListener("resize", draw);
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const writing = event.target.closest("input, select, textarea");
    const page = Math.max(1, Math.floor(list.clientHeight / HEIGHT) - 1);
    const moves = { ArrowDown: chosen + 1, ArrowUp: chosen - 1, PageDown: chosen + page, PageUp: chosen - page, Home: 0, End: length - 1 };
    let done = true;
    if (event.key === "Escape") {
      if (event.target === search && search.value) { search.value = ""; filter(); } else list.focus();
    } else if (writing) {
      if (event.target === search && event.key === "ArrowDown") list.focus(); else done = false;
    } else if (event.key === "/") {
      search.focus();
    } else if (event.key === "j") {
      choose(chosen + 1);
    } else if (event.key === "k") {
      choose(chosen - 1);
    } else if (event.target === list && event.key in moves) {
      choose(moves[event.key]);
    } else if (event.target === list && event.key === "Enter") {
      detail.focus();
    } else {
      done = false;
    }
    if (done) event.preventDefault();
  }

  // the charts tell their figures under the pointer
  const tip = at("tip");
  document.addEventListener("pointermove", (event) => {
    const mark = event.target.closest && event.target.closest("svg [role=graphics-symbol][aria-label]:not(.role-axis)");
    tip.hidden = !mark;
    if (mark) {
      tip.textContent = mark.getAttribute("aria-label");
      tip.style.left = Math.min(event.clientX + 12, innerWidth - tip.offsetWidth - 8) + "px";
      tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + "px";
    }
  }, { passive: true });

  async function unpack() {
    const packed = atob(at("data").textContent);
    at("data").remove();
    const bytes = Uint8Array.from(packed, (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    data = JSON.parse(await new Response(stream).text());
    const held = data.rows, count = (held.row || []).length;
    texts = new Array(count);
    for (let row = 0; row < count; row += 1) texts[row] = (held.row[row] + "\n" + data.questions[held.question[row]] + "\n" + held.text[row] + "\n" + held.gold[row]).toLowerCase();
    shown = new Int32Array(count);
    fill();
    filter();
    performance.mark("ready");
  }

  // the page is painted before the texts are unpacked
  requestAnimationFrame(() => setTimeout(() => unpack().catch((error) => {
    at("count").textContent = "The texts could not be unpacked: " + error.message;
  })));
})();
