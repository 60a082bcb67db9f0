// Builds a read-only diff from tokens. Text only ever becomes a text node.
const { h } = Vue;
const [KIND, LEFT, RIGHT, LEFT_TEXT, RIGHT_TEXT] = [0, 1, 2, 3, 4];

const spans = (segments) =>
  segments.length
    ? segments.map(([text, css, marked]) => h("span", { class: [css && `t-${css}`, marked && "t-mark"] }, text))
    : "\u200b";

const stateOf = (row, side) => (row[KIND] === "same" ? "same" : side === LEFT ? "del" : "add");

const code = (row, side) => {
  const text = side === LEFT && row[KIND] !== "same" ? row[LEFT_TEXT] : row[RIGHT_TEXT];
  return h("td", { class: ["code", stateOf(row, side)] }, [h("code", spans(text))]);
};

export default {
  emits: ["remark"],
  props: { files: Array, notes: Object, mode: String, open: String },
  data: () => ({ opened: {}, folded: {} }),
  methods: {
    // A file without a second side has nothing to put beside it.
    modeOf(file) {
      return file.status === "changed" ? this.mode : "plain";
    },
    columns(file) {
      return { split: ["num", "code", "num", "code"], unified: ["num", "num", "code"], plain: ["num", "code"] }[this.modeOf(file)];
    },
    notesAt(file, row) {
      const notes = (this.notes[file.path] ?? []).filter((note) => row[RIGHT] !== null && note.line === row[RIGHT]);
      if (!notes.length) return [];
      // What only informs is said in one line.
      const boxes = notes.map((note) =>
        h("div", { class: ["note-box", note.level], role: "note" }, [
          h("strong", note.column ? `${note.title} (column ${note.column})` : note.title),
          h("span", note.text),
          note.why && note.level !== "low" && h("em", note.why),
        ]),
      );
      return [h("tr", { class: "note" }, [h("td", { colspan: this.columns(file).length }, boxes)])];
    },
    number(file, row, side, line) {
      const takesRemarks = side === RIGHT && line !== null && file.path === this.open;
      // Not in the order of the Tab key: a button for each line would stand in everybody's way.
      const remark = takesRemarks && {
        type: "button",
        class: "remark-here",
        tabindex: -1,
        title: "Ask for a change here",
        "aria-label": `Ask for a change at line ${line}`,
        onClick: () => this.$emit("remark", line),
      };
      return h("td", { class: ["num", stateOf(row, side)], "data-n": line ?? "" }, remark ? [h("button", remark)] : []);
    },
    cells(file, row, side) {
      return row[side] === null
        ? [h("td", { class: "num void" }), h("td", { class: "code void" })]
        : [this.number(file, row, side, row[side]), code(row, side)];
    },
    single(file, side, row) {
      const mode = this.modeOf(file);
      const numbers =
        mode === "plain"
          ? [this.number(file, row, side, row[side])]
          : [
              this.number(file, row, LEFT, side === LEFT || row[KIND] === "same" ? row[LEFT] : null),
              this.number(file, row, RIGHT, side === RIGHT ? row[RIGHT] : null),
            ];
      return h("tr", [...numbers, code(row, side)]);
    },
    rows(file, rows) {
      if (this.modeOf(file) === "split")
        return rows.flatMap((row) => [h("tr", [...this.cells(file, row, LEFT), ...this.cells(file, row, RIGHT)]), ...this.notesAt(file, row)]);
      const lines = [];
      for (let at = 0; at < rows.length; ) {
        let end = at;
        while (end < rows.length && rows[end][KIND] !== "same") end++;
        const run = rows.slice(at, Math.max(end, at + 1));
        if (end > at) lines.push(...run.filter((row) => row[LEFT] !== null).map((row) => this.single(file, LEFT, row)));
        const shown = run.filter((row) => row[RIGHT] !== null);
        lines.push(...shown.flatMap((row) => [this.single(file, RIGHT, row), ...this.notesAt(file, row)]));
        at += run.length;
      }
      return lines;
    },
    block(file, block, key) {
      if (!block.fold || this.opened[key]) return this.rows(file, block.rows);
      const open = () => (this.opened[key] = true);
      return [
        h("tr", { class: "fold" }, [
          h("td", { colspan: this.columns(file).length }, [h("button", { type: "button", onClick: open }, block.fold)]),
        ]),
      ];
    },
    head(file, folded) {
      const tag = { added: "new", removed: "removed" }[file.status];
      return h("header", [
        h(
          "button",
          {
            type: "button",
            class: "twist",
            "aria-expanded": String(!folded),
            "aria-label": `Fold ${file.path}`,
            onClick: () => (this.folded[file.path] = !folded),
          },
          [h("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, [h("path", { d: "m6 9 6 6 6-6" })])],
        ),
        h("span", { class: "path", title: file.path }, file.path),
        tag && h("span", { class: "tag" }, tag),
        file.status !== "same" &&
          h("span", { class: "counts" }, [
            h("span", { class: "plus", title: `${file.added} lines added` }, `+${file.added}`),
            h("span", { class: "minus", title: `${file.removed} lines removed` }, `−${file.removed}`),
          ]),
      ]);
    },
  },
  render() {
    const sections = this.files.map((file, f) => {
      const folded = this.folded[file.path];
      const columns = h("colgroup", this.columns(file).map((name) => h("col", { class: name })));
      const body = () => h("tbody", file.blocks.flatMap((block, b) => this.block(file, block, `${f}.${b}`)));
      return h("section", { key: file.path, class: ["diff-file", folded && "is-folded"], "aria-label": file.path }, [
        this.head(file, folded),
        !folded && h("div", { class: "diff-scroll" }, [h("table", { class: `${this.modeOf(file)}-view` }, [columns, body()])]),
      ]);
    });
    return h("div", { class: "diff-files" }, sections);
  },
};
