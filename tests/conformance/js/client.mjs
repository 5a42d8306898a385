// The official SDK, unmodified: any command by its name, every answer checked as text.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { replyComplaints, requests } from './models.mjs';

const Akeyless = createRequire(process.env.KEYSHERD_SDK)('akeyless');
const load = (variable) => JSON.parse(readFileSync(process.env[variable], 'utf8'));

export const bootstrap = load('KEYSHERD_BOOTSTRAP');

/** Keysherd's own commands, which no official SDK knows; tested with the binary itself. */
const ownCommands = new URL('../own-commands.json', import.meta.url);
const own = new Set(JSON.parse(readFileSync(ownCommands, 'utf8')));

/** Every name of every served command that the SDK must know. */
export const commands = new Map();
for (const spec of load('KEYSHERD_COMMANDS').filter(({ name }) => !own.has(name))) {
  for (const { name, success, reply } of [spec, ...spec.aliases]) {
    commands.set(name, { name, current: spec.name, access: spec.access, success, reply });
  }
}

/** Names that succeeded, and `name status` of refusals. */
export const succeeded = new Set();
export const refused = new Set();

// Command name to method: read from the SDK's own source, so nothing here knows its spelling.
const methods = new Map();
// Commands whose body may be left out, to what the SDK calls it then.
const optional = new Map();
for (const method of Object.getOwnPropertyNames(Akeyless.V2Api.prototype)) {
  const source = method.endsWith('WithHttpInfo') && Akeyless.V2Api.prototype[method].toString();
  const path = source && /callApi\('\/([^']+)'/.exec(source);
  if (!path) continue;
  methods.set(path[1].toLowerCase(), method.replace(/WithHttpInfo$/, ''));
  const body = /postBody\s*=\s*opts\['(\w+)'\]/.exec(source);
  if (body) optional.set(path[1].toLowerCase(), body[1]);
}

// Commands that came with a later SDK than this one.
// Or which it knows by another name.
const later = [
  'auth-method-create-alicloud',
  'auth-method-update-alicloud',
  'target-create-f5-big-ip',
  'create-f5-big-ip-target',
  'target-update-f5-big-ip',
  'update-f5-big-ip-target',
  'dynamic-secret-update-hanadb',
  'dynamic-secret-update-mongodb',
];
for (const name of later) {
  if (!methods.has(name)) commands.delete(name);
}

/** Whether the SDK's model of the command has no room for a token. */
function tokenInHeader(name) {
  const kind = requests.get(name.toLowerCase());
  return kind.startsWith('list[') || Akeyless[kind] === undefined;
}

// Fields that are sent although this version does not know them, and none what is our own.
const newer = ['skip-dry-run', 'host-key'];

function body(name, fields) {
  const kind = requests.get(name.toLowerCase());
  if (kind.startsWith('list[')) {
    const row = Akeyless[kind.slice('list['.length, -1)];
    return fields.map((each) => row.constructFromObject(each));
  }
  const request = Akeyless[kind]?.constructFromObject(fields);
  for (const field of newer.filter((each) => each in fields)) request[field] = fields[field];
  return request;
}

/** Calls a command as the bearer of `token`; the SDK's own result. */
export async function call(name, fields, token) {
  const client = new Akeyless.ApiClient(bootstrap.url);
  if (token !== undefined && tokenInHeader(name)) {
    client.defaultHeaders.Authorization = `Bearer ${token}`;
  } else if (token !== undefined) {
    fields = { ...fields, token };
  }
  const wrong = [];
  const watch = (response) => {
    const status = response.status;
    if (status < 400) succeeded.add(name);
    else refused.add(`${name} ${status}`);
    const type = response.headers['content-type'];
    wrong.push(...replyComplaints(commands.get(name), status, type, response.text));
  };
  client.plugins = [(request) => request.on('response', watch)];
  const api = new Akeyless.V2Api(client);
  try {
    const keyword = optional.get(name.toLowerCase());
    const whole = body(name, fields);
    const argument = keyword === undefined ? whole : { [keyword]: whole };
    return await (argument === undefined ? api[methods.get(name.toLowerCase())]()
      : api[methods.get(name.toLowerCase())](argument));
  } finally {
    assert.deepEqual(wrong, [], name);
  }
}

/** Calls a command that must fail with `status`; the text. */
export async function refusal(status, name, fields, token) {
  let result;
  try {
    result = await call(name, fields, token);
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    assert.equal(error.status, status, `${name}: ${error.body?.error ?? error.error}`);
    return error.body.error;
  }
  return assert.fail(`${name} was not refused: ${JSON.stringify(result)}`);
}

/** Calls a command that no official SDK knows, through the SDK's client all the same. */
export function ownCommand(name, fields) {
  const client = new Akeyless.ApiClient(bootstrap.url);
  const json = ['application/json'];
  return client.callApi(`/${name}`, 'POST', {}, {}, {}, {}, fields, [], json, json, Object, null);
}
