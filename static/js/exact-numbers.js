// JSON whose numbers stay what they are: JavaScript knows integers up to 2^53 only, and rounds others.

// A text, which is left out, or a number.
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Parse JSON; throws, with words for a person, what is no JSON and a number that would be changed. */
export function parseExactly(text) {
  const value = JSON.parse(text);
  const [changed] = changedNumbers(text);
  if (changed !== undefined) throw new RangeError(whyNot(changed));
  return value;
}

/** Return the numbers of a JSON text that JavaScript would change, as they stand there. */
export function changedNumbers(text) {
  return text.match(TOKEN)?.filter((token) => !token.startsWith('"') && isChanged(token)) ?? [];
}

/** Tell whether somewhere in a value there is an integer that may have been rounded. */
export function mayBeRounded(value) {
  if (typeof value === "number") return Number.isInteger(value) && !Number.isSafeInteger(value);
  return value !== null && typeof value === "object" && Object.values(value).some(mayBeRounded);
}

/** Say why a number is not taken. */
export function whyNot(number) {
  return `A browser would change the number ${number}. Write it as a text, "${number}", or send it over REST.`;
}

function isChanged(token) {
  const value = Number(token);
  if (!Number.isFinite(value)) return true;
  return /^-?\d+$/.test(token) && BigInt(token) !== BigInt(value);
}
