// Texts by characters, as the service counts them: code points, where JavaScript counts UTF-16 units.

export class Text {
  constructor(text) {
    this.whole = text;
    this.points = /[\ud800-\udfff]/.test(text) ? Array.from(text) : null;
  }

  get length() {
    return this.points ? this.points.length : this.whole.length;
  }

  slice(start, end) {
    return this.points ? this.points.slice(start, end).join("") : this.whole.slice(start, end);
  }

  // Where `part` begins at or after `from`, or -1.
  find(part, from) {
    const at = this.whole.indexOf(part, this.slice(0, from).length);
    return at < 0 || !this.points ? at : Array.from(this.whole.slice(0, at)).length;
  }
}

// The text cut at every start and end of the spans: [{start, end, spans}], in order.
export function pieces(length, spans) {
  const cuts = new Set([0, length]);
  for (const { start, end } of spans) cuts.add(Math.min(start, length)).add(Math.min(end, length));
  const sorted = [...cuts].sort((a, b) => a - b);
  return sorted.slice(1).map((end, i) => ({
    start: sorted[i],
    end,
    spans: spans.filter((span) => span.start < end && span.end > sorted[i]),
  }));
}
