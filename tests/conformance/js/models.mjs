// The V2 models: whether a reply has only fields the model has, of the types it says.

import { readFileSync } from 'node:fs';

const RFC3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

const data = JSON.parse(readFileSync(process.env.KEYSHERD_MODELS, 'utf8'));

/** The request model of every command, by its name in lower case. */
export const requests = new Map(
  data.endpoints.map(({ path, request }) => [path.slice(1).toLowerCase(), request]),
);
// What this SDK calls, and the described one does by another name.
requests.set('dynamic-secret-update-mongo', requests.get('dynamic-secret-update-mongodb'));

const PRIMITIVES = {
  str: (value) => typeof value === 'string',
  int: (value) => Number.isInteger(value),
  float: (value) => typeof value === 'number',
  bool: (value) => typeof value === 'boolean',
  datetime: (value) => typeof value === 'string' && RFC3339.test(value) && !isNaN(new Date(value)),
  object: () => true,
};

const isObject = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is wrong with `value` as a reply of type `kind`. */
export function complaints(kind, value, where = 'reply') {
  if (kind === 'None') return [];
  if (kind in PRIMITIVES) {
    return PRIMITIVES[kind](value) ? [] : [`${where} is not of type ${kind}`];
  }
  if (value === null) return [];
  const list = /^list\[(.*)\]$/.exec(kind);
  if (list) {
    if (!Array.isArray(value)) return [`${where} is not a list`];
    return value.flatMap((element, i) => complaints(list[1], element, `${where}[${i}]`));
  }
  if (!isObject(value)) return [`${where} is not an object`];
  const map = /^dict\(str, (.*)\)$/.exec(kind);
  return Object.entries(value).flatMap(([key, element]) => {
    const inner = map ? map[1] : data.models[kind]?.[key]?.type;
    if (inner === undefined) return [`${where}.${key}: the model ${kind} has no such field`];
    return complaints(inner, element, `${where}.${key}`);
  });
}

/** What is wrong with a whole answer of a command. */
export function replyComplaints(served, status, contentType, text) {
  const found = [];
  if (!(contentType ?? '').includes('json')) found.push(`content type ${contentType}`);
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    return [...found, 'the body is not JSON'];
  }
  if (status >= 400) {
    const exact = isObject(value) && Object.keys(value).join() === 'error'
      && typeof value.error === 'string' && value.error !== '';
    return exact ? found : [...found, 'an error body is {"error": text}'];
  }
  if (status !== served.success) found.push(`status ${status} instead of ${served.success}`);
  if (served.reply === 'object' && !isObject(value)) found.push('the reply is not an object');
  return [...found, ...complaints(served.reply, value)];
}
