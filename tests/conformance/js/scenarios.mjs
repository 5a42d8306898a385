// How each command is called: what must exist before, and with which fields. A scenario is made
// anew for every test; a served command without one fails the suite.

import { bootstrap, call, commands, ownCommand } from './client.mjs';
import { readFileSync } from 'node:fs';

/** A command that cannot succeed on this server. */
export const neverSucceeds = new Set(['static-creds-auth']);

let used = 0;
export const fresh = (noun) => `/conformance/${noun}-${(used += 1)}`;

export const login = async (id = bootstrap.access_id, key = bootstrap.access_key) =>
  (await call('auth', { 'access-id': id, 'access-key': key })).token;

let adminToken;
export const admin = async () => (adminToken ??= await login());

/** Prepares something as the administrator. */
export const act = async (name, fields) => call(name, fields, await admin());

export async function stranger() {
  const name = fresh('stranger');
  const made = await act('auth-method-create-api-key', { name });
  return login(made.access_id, made.access_key);
}

const secret = async (value = 'value') => {
  const name = fresh('secret');
  await act('create-secret', { name, value });
  return name;
};
/** The cluster of this gateway, which registers again by itself when it was deleted. */
const ownCluster = async () => {
  for (let turn = 0; turn < 600; turn += 1) {
    const { clusters } = await act('list-gateways', {});
    if (clusters?.length) return clusters[0].cluster_name;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error('the gateway of this server is in no cluster');
};
const allowed = async () => {
  await ownCluster();
  return {
    name: fresh('allowed').replaceAll('/', '-').replace(/^-/, ''),
    'access-id': bootstrap.access_id,
    permissions: 'k8s_auth,ldap_auth',
    'sub-claims': { team: 'ops' },
  };
};
const existingAccess = async () => {
  const fields = await allowed();
  await act('gateway-create-allowed-access', fields);
  return fields;
};
const namesAccess = {
  fields: async () => ({ name: (await existingAccess()).name }),
  absent: { name: 'absent' },
};
const key = async () => {
  const name = fresh('key');
  await act('create-dfc-key', { name, alg: 'AES256GCM' });
  return name;
};
const changingKey = {
  fields: async () => ({ name: await key() }), absent: { name: '/conformance/absent' },
};
let keyOfAll;
/** A key that no test changes: making one takes a while. */
const sharedKey = async () => (keyOfAll ??= await key());
const role = async () => {
  const name = fresh('role');
  await act('create-role', { name });
  return name;
};
const alias = () => fresh('group').replaceAll('/', '-').replace(/^-/, '');
const group = async () => {
  const name = fresh('group');
  await act('create-group', { name, 'group-alias': alias() });
  return name;
};
const method = async () => {
  const name = fresh('method');
  await act('auth-method-create-api-key', { name });
  return name;
};
/** A universal identity: its name, and its root token. */
const universal = async () => {
  const name = fresh('uid');
  await act('auth-method-create-universal-identity', { name });
  const { token } = await act('uid-generate-token', { 'auth-method-name': name });
  return { name, token };
};
const tree = {
  fields: async () => ({ 'auth-method-name': (await universal()).name }),
  absent: { 'auth-method-name': '/conformance/absent' },
};
const newUniversal = { fields: () => ({ name: fresh('uid'), ttl: 30 }), twice: true };
const changedUniversal = {
  fields: async () => ({ name: (await universal()).name, ttl: 30 }),
  absent: { name: '/conformance/absent' },
};
const person = () => {
  const name = fresh('person');
  return { name, email: `${name.split('/').pop()}@example.com` };
};
const cluster = async () => {
  const made = await act('auth-method-create-k8s', { name: fresh('method') });
  return {
    name: fresh('cluster'),
    'access-id': made.access_id,
    'signing-key': made.prv_key,
    'k8s-host': 'https://127.0.0.1:6443',
  };
};
const configuredCluster = async () => {
  const fields = await cluster();
  await act('gateway-create-k8s-auth-config', fields);
  return fields;
};
const namesCluster = {
  fields: async () => ({ name: (await configuredCluster()).name }),
  absent: { name: '/conformance/absent' },
};
const folder = async () => {
  const name = fresh('folder');
  await act('folder-create', { name });
  return name;
};
const association = async () => {
  const made = await act('assoc-role-am', { 'role-name': await role(), 'am-name': await method() });
  return made.assoc_id;
};
const encrypted = async () => {
  const name = await sharedKey();
  const { result } = await act('encrypt', { 'key-name': name, plaintext: 'message' });
  return { 'key-name': name, ciphertext: result };
};
const batch = async (data) => {
  const name = await sharedKey();
  const { item_id } = await act('describe-item', { name });
  const { result } = await act('encrypt', { 'key-name': name, plaintext: 'message' });
  return [{ item_id, data: data ?? result }];
};
const owner = () => readFileSync(bootstrap.owner_password_file, 'utf8').trim();
const credential = () =>
  ({ 'access-id': bootstrap.access_id, 'access-key': bootstrap.access_key });

// What each kind of the auth-method family needs; written once for all suites.
const members = JSON.parse(readFileSync(new URL('../members.json', import.meta.url), 'utf8'));
const certificate = () => readFileSync(bootstrap.ca_file).toString('base64');
const member = (kind) => {
  const own = Object.entries(members[kind])
    .map(([field, value]) => [field, value === '@authority' ? certificate() : value]);
  return { name: fresh('method'), ...Object.fromEntries(own) };
};
const existing = async (kind) => {
  const fields = member(kind);
  await act(`auth-method-create-${kind}`, fields);
  return fields;
};
const ofMembers = () => Object.fromEntries(Object.keys(members).flatMap((kind) => {
  const create = { fields: () => member(kind), twice: true };
  const update = { fields: () => existing(kind), absent: absentName };
  return [
    [`auth-method-create-${kind}`, create], [`create-auth-method-${kind}`, create],
    [`auth-method-update-${kind}`, update], [`update-auth-method-${kind}`, update],
  ];
}));

const absentName = { name: '/conformance/absent' };
const absentRole = { 'role-name': '/conformance/absent' };
const absentAssociation = { 'assoc-id': `ass-${'0'.repeat(20)}` };

// Where the gateway sends the audit log; switched off, as nobody is there to take it.
const logTargets =
  JSON.parse(readFileSync(new URL('../log-targets.json', import.meta.url), 'utf8'));
/** Names somebody to read the log as, with a command that no official SDK knows. Each time anew:
 * when the cluster was deleted in between, its reader went with it. */
const needLogReader = async () => {
  await ownCluster();
  const [name, role] = [fresh('log-reader'), fresh('log-readers')];
  const made = await act('auth-method-create-api-key', { name });
  await act('create-role', { name: role, 'audit-access': 'all' });
  await act('assoc-role-am', { 'role-name': role, 'am-name': name });
  await ownCommand('gateway-update-log-reader', {
    'reader-access-id': made.access_id, 'reader-access-key': made.access_key,
    token: await admin(),
  });
};
/** A key file as Google makes them, in base64. */
const serviceAccount = async () => {
  const made = await act('auth-method-create-ldap', { name: fresh('method') });
  const key = Buffer.from(made.prv_key, 'base64').toString();
  const file = { client_email: 'logs@project.example', private_key: key };
  return Buffer.from(JSON.stringify(file)).toString('base64');
};
const logTarget = (kind) => async () => {
  await needLogReader();
  const own = { ...logTargets[kind], enable: 'false', 'pull-interval': '30' };
  if (own['gcp-key']) own['gcp-key'] = await serviceAccount();
  return own;
};
const ofLogTargets = () => Object.fromEntries(Object.keys(logTargets)
  .map((kind) => [`gateway-update-log-forwarding-${kind}`, { fields: logTarget(kind) }])
  .filter(([name]) => commands.has(name)));

// Targets, and the dynamic secrets that make credentials on them. One database is really there.
const table = (name) =>
  JSON.parse(readFileSync(new URL(`../${name}`, import.meta.url), 'utf8'));
const targets = table('targets.json');
const engines = table('engines.json');
const targetFields = (kind, more) => {
  const port = process.env.KEYSHERD_POSTGRES_PORT;
  const own = Object.entries(targets[kind])
    .map(([field, value]) => [field, value === '@port' ? port : value]);
  return { name: fresh('target'), ...Object.fromEntries(own), ...more };
};
const target = async (kind, more) => {
  const fields = targetFields(kind, more);
  await act(`target-create-${kind}`, fields);
  return fields;
};
const engineFields = async (kind) => {
  const { target: on, fields } = engines[kind];
  const own = { name: fresh('dynamic'), 'skip-dry-run': true, ...fields };
  if (!on) return own;
  const { kind: of, ...more } = on;
  return { ...own, 'target-name': (await target(of, more)).name };
};
const dynamicSecret = async (kind) => {
  const fields = await engineFields(kind);
  await act(engines[kind].create ?? `dynamic-secret-create-${kind}`, fields);
  return fields;
};
const credentials = async () => {
  const { name } = await dynamicSecret('postgresql');
  const { id } = await act('get-dynamic-secret-value', { name });
  return { name, 'tmp-creds-id': id, host: '127.0.0.1' };
};
const ofTargets = () => Object.fromEntries(Object.keys(targets).flatMap((kind) => {
  const create = { fields: () => targetFields(kind), twice: true };
  const update = { fields: () => target(kind), absent: absentName };
  return [
    [`target-create-${kind}`, create], [`create-${kind}-target`, create],
    [`target-update-${kind}`, update], [`update-${kind}-target`, update],
  ];
}));
const details = {
  aws: { 'session-token': 'another' },
  db: { pwd: 'another' },
  ldap: { 'bind-dn': 'cn=another,dc=example' },
  ssh: { 'ssh-password': 'another' },
  web: { url: 'https://example.org' },
};
const ofTargetDetails = () => Object.fromEntries(Object.keys(details).map((kind) => [
  `update-${kind}-target-details`,
  {
    fields: async () => ({ name: (await target(kind)).name, ...details[kind] }),
    absent: absentName,
  },
]));
// What older commands call them, where that is something else: when made, and when changed.
const older = {
  hanadb: ['hanadb', 'hana'],
  mongodb: ['mongo', 'mongo'],
  redis: ['Redis', 'redis'],
  venafi: ['certificate-automation', 'certificate-automation'],
};
const ofEngines = () => Object.fromEntries(Object.keys(engines).flatMap((kind) => {
  const [made, changed] = older[kind] ?? [kind, kind];
  const create = { fields: () => engineFields(kind), twice: true };
  const update = { fields: () => dynamicSecret(kind), absent: absentName };
  return [
    [`dynamic-secret-create-${kind}`, create], [`gateway-create-producer-${made}`, create],
    [`dynamic-secret-update-${kind}`, update], [`gateway-update-producer-${changed}`, update],
    // As this SDK calls it.
    ...(kind === 'mongodb' ? [['dynamic-secret-update-mongo', update]] : []),
  ];
}));
// Somebody whose password rotates; who is really there is one that a dynamic secret has made.
const rotators = table('rotators.json');
const rotatedFields = async (kind, more) => {
  const { kind: on, ...of } = rotators[kind].target;
  const where = await target(on, of);
  return {
    name: fresh('rotated'), 'target-name': where.name, 'skip-dry-run': true,
    ...rotators[kind].fields, ...more,
  };
};
const rotatedSecret = async (kind, more) => {
  const fields = await rotatedFields(kind, more);
  await act(`rotated-secret-create-${kind}`, fields);
  return fields;
};
// As the older spelling has it, which always tries the password out.
const ofAnyKind = async () => {
  const { name } = await dynamicSecret('postgresql');
  const { user, password } = await act('get-dynamic-secret-value', { name });
  const more = { 'rotated-username': user, 'rotated-password': password };
  const { 'skip-dry-run': _, ...fields } = await rotatedFields('postgresql', more);
  return fields;
};
const ofRotators = () => Object.fromEntries(Object.keys(rotators).flatMap((kind) => [
  [`rotated-secret-create-${kind}`, { fields: () => rotatedFields(kind), twice: true }],
  [`rotated-secret-update-${kind}`, {
    fields: async () => ({
      name: (await rotatedSecret(kind)).name, 'rotation-interval': '30',
      // The SDK demands the type again for these.
      ...(['gcp', 'ssh', 'windows'].includes(kind)
        ? { 'rotator-type': rotators[kind].fields['rotator-type'] } : {}),
    }),
    absent: absentName,
  }],
]));
const namesRotatedSecret = {
  fields: async () => ({ name: (await rotatedSecret('postgresql')).name }), absent: absentName,
};
const hostOfItem = async () => ({
  name: await secret(), 'target-name': (await target('web')).name,
});
const remoteHost = async () => ({ ...await hostOfItem(), 'sra-association': true });
const namesTarget = {
  fields: async () => ({ name: (await target('db')).name }), absent: absentName,
};
const namesDynamicSecret = {
  fields: async () => ({ name: (await dynamicSecret('postgresql')).name }), absent: absentName,
};
const ofThose = (names, scenario) => Object.fromEntries(names.map((name) => [name, scenario]));

/** By current name: the fields of a good call, what is different for an absent object (404),
 * whether the same call again is a conflict (409), and whose token it takes. */
export const scenarios = {
  ...ofMembers(),
  ...ofLogTargets(),
  ...ofTargets(),
  ...ofEngines(),
  ...ofRotators(),
  ...ofThose(['rotated-secret-get-value', 'rotated-secret-delete'], namesRotatedSecret),
  'get-rotated-secret-value': {
    fields: async () => ({ names: (await rotatedSecret('postgresql')).name }),
    absent: { names: '/conformance/absent' },
  },
  'gateway-rotate-secret': {
    fields: async () => {
      const { name } = await dynamicSecret('postgresql');
      const { user, password } = await act('get-dynamic-secret-value', { name });
      const more = { 'rotated-username': user, 'rotated-password': password };
      return { name: (await rotatedSecret('postgresql', more)).name };
    },
    absent: absentName,
  },
  'rotated-secret-list': { fields: () => ({}) },
  'gateway-list-rotated-secrets': { fields: () => ({}) },
  'create-rotated-secret': { fields: ofAnyKind, twice: true },
  'update-rotated-secret': {
    fields: async () => ({
      name: (await rotatedSecret('postgresql')).name, 'rotation-interval': '30',
    }),
    absent: absentName,
  },
  'assoc-target-item': { fields: remoteHost, absent: absentName, twice: true },
  'delete-assoc-target-item': {
    fields: async () => {
      const fields = await remoteHost();
      await act('assoc-target-item', fields);
      return { name: fields.name, 'target-name': fields['target-name'] };
    },
    absent: absentName,
  },
  'gateway-update-item': {
    fields: async () => ({
      name: (await rotatedSecret('postgresql')).name, 'rotation-interval': '30',
      type: 'rotated-secret',
    }),
    absent: absentName,
  },
  ...ofThose([
    'target-get', 'target-get-details', 'target-delete', 'lock-target', 'unlock-target',
  ], namesTarget),
  ...ofThose([
    'dynamic-secret-get', 'dynamic-secret-delete', 'gateway-delete-producer',
    'gateway-start-producer', 'gateway-stop-producer', 'dynamic-secret-get-value',
    'dynamic-secret-tmp-creds-get',
  ], namesDynamicSecret),
  ...ofTargetDetails(),
  'target-list': { fields: () => ({}) },
  'dynamic-secret-list': { fields: () => ({}) },
  'kubeconfig-generate': { fields: () => ({}) },
  'dynamic-secret-tmp-creds-update': {
    fields: async () => ({ ...await credentials(), 'new-ttl-min': 10 }), absent: absentName,
  },
  'dynamic-secret-tmp-creds-delete': { fields: credentials, absent: absentName },
  'gateway-get-log-forwarding': { fields: () => ({}) },
  'get-cert-challenge': {
    fields: () => ({ 'access-id': bootstrap.access_id, 'cert-data': certificate() }), open: true,
  },
  auth: { fields: credential, open: true },
  configure: { fields: credential, open: true },
  'validate-token': { fields: () => ({}) },
  'describe-sub-claims': { fields: () => ({}) },
  'revoke-creds': { fields: () => ({}), token: () => login() },
  'static-creds-auth': {
    fields: () => ({ 'access-id': bootstrap.access_id, creds: 'x' }), open: true,
  },
  'change-admin-account-password': {
    fields: () => ({ 'current-password': owner(), 'new-password': owner() }),
    token: async () => (await call('auth', {
      'access-type': 'password',
      'admin-email': bootstrap.owner_email,
      'admin-password': owner(),
    })).token,
  },
  'auth-method-create-api-key': { fields: () => ({ name: fresh('method') }), twice: true },
  'auth-method-create-email': { fields: () => person(), twice: true },
  'create-auth-method-email': { fields: () => person(), twice: true },
  'auth-method-update-email': {
    fields: async () => {
      const { name } = await act('auth-method-create-email', person());
      return { name, 'enable-mfa': 'true', 'mfa-type': 'auth-app' };
    },
    absent: absentName,
  },
  'auth-method-update-api-key': {
    fields: async () => ({ name: await method(), description: 'new' }), absent: absentName,
  },
  'gateway-create-k8s-auth-config': { fields: cluster, twice: true },
  'gateway-update-k8s-auth-config': {
    fields: async () => {
      const fields = await configuredCluster();
      return { ...fields, 'new-name': fields.name };
    },
    absent: { name: '/conformance/absent' },
  },
  'gateway-update-ldap-auth-config': {
    fields: async () => {
      const made = await act('auth-method-create-ldap', { name: fresh('method') });
      return {
        'access-id': made.access_id,
        'signing-key-data': made.prv_key,
        'ldap-url': 'ldaps://127.0.0.1:6360',
        'user-dn': 'ou=people',
      };
    },
  },
  'gateway-get-ldap-auth-config': { fields: () => ({}) },
  'gateway-update-cache': {
    fields: () => ({ 'enable-cache': 'false', 'stale-timeout': '30' }),
  },
  'gateway-get-cache': { fields: () => ({}) },
  'gateway-update-tls-cert': {
    fields: async () => (await ownCluster(), { 'expiration-event-in': ['30', '7'] }),
  },
  'gateway-get-config': { fields: async () => (await ownCluster(), {}) },
  'gateway-get-defaults': { fields: async () => (await ownCluster(), {}) },
  'gateway-update-defaults': {
    fields: async () => (await ownCluster(), {
      key: 'Default', 'hvp-route-version': 2, 'event-on-status-change': 'true',
    }),
  },
  'gateway-create-allowed-access': { fields: allowed, twice: true },
  'gateway-update-allowed-access': {
    fields: async () => ({ ...(await existingAccess()), permissions: 'admin' }),
    absent: { name: 'absent' },
  },
  'gateway-get-allowed-access': namesAccess,
  'gateway-delete-allowed-access': namesAccess,
  'list-gateways': { fields: async () => (await ownCluster(), {}) },
  'delete-gateway-cluster': {
    fields: async () => ({ 'cluster-name': await ownCluster(), 'force-deletion': true }),
    absent: { 'cluster-name': 'absent' },
  },
  'gateway-get-k8s-auth-config': namesCluster,
  'gateway-delete-k8s-auth-config': namesCluster,
  'auth-method-get': { fields: async () => ({ name: await method() }), absent: absentName },
  'auth-method-delete': { fields: async () => ({ name: await method() }), absent: absentName },
  'reset-access-key': { fields: async () => ({ name: await method() }), absent: absentName },
  'auth-method-list': { fields: () => ({}) },
  'auth-method-create-universal-identity': newUniversal,
  'create-auth-method-universal-identity': newUniversal,
  'auth-method-update-universal-identity': changedUniversal,
  'update-auth-method-universal-identity': changedUniversal,
  'uid-generate-token': tree,
  'uid-list-children': tree,
  'uid-create-child-token': {
    fields: async () => {
      const { name } = await universal();
      const { root } = await act('uid-list-children', { 'auth-method-name': name });
      return { 'auth-method-name': name, 'uid-token-id': root.id, 'child-ttl': 5 };
    },
    absent: tree.absent,
  },
  'uid-revoke-token': {
    fields: async () => {
      const { name, token } = await universal();
      return { 'auth-method-name': name, 'revoke-token': token, 'revoke-type': 'revokeAll' };
    },
    absent: tree.absent,
  },
  'uid-rotate-token': {
    fields: async () => ({ 'uid-token': (await universal()).token }), open: true,
  },
  'create-role': { fields: () => ({ name: fresh('role') }), twice: true },
  'update-role': {
    fields: async () => ({ name: await role(), description: 'new' }), absent: absentName,
  },
  'get-role': { fields: async () => ({ name: await role() }), absent: absentName },
  'delete-role': { fields: async () => ({ name: await role() }), absent: absentName },
  'list-roles': { fields: () => ({}) },
  'delete-auth-methods': {
    fields: async () => {
      const path = fresh('methods');
      await act('auth-method-create-api-key', { name: `${path}/one` });
      return { path };
    },
    absent: { path: '/no/such/methods' },
  },
  'delete-roles': {
    fields: async () => {
      const path = fresh('roles');
      await act('create-role', { name: `${path}/one` });
      return { path };
    },
    absent: { path: '/no/such/roles' },
  },
  'create-group': {
    fields: () => ({ name: fresh('group'), 'group-alias': alias() }), twice: true,
  },
  'update-group': {
    fields: async () => ({ name: await group(), 'group-alias': alias() }), absent: absentName,
  },
  'get-group': { fields: async () => ({ name: await group() }), absent: absentName },
  'delete-group': { fields: async () => ({ name: await group() }), absent: absentName },
  'list-group': { fields: () => ({}) },
  'set-role-rule': {
    fields: async () => ({ 'role-name': await role(), path: '/a/*', capability: ['read'] }),
    absent: absentRole,
  },
  'delete-role-rule': {
    fields: async () => {
      const name = await role();
      await act('set-role-rule', { 'role-name': name, path: '/a/*', capability: ['read'] });
      return { 'role-name': name, path: '/a/*' };
    },
    absent: { path: '/no/such/rule' },
  },
  'assoc-role-am': {
    fields: async () => ({ 'role-name': await role(), 'am-name': await method() }),
    absent: absentRole,
    twice: true,
  },
  'update-assoc': {
    fields: async () => ({ 'assoc-id': await association(), 'sub-claims': { group: 'a' } }),
    absent: absentAssociation,
  },
  'delete-assoc': {
    fields: async () => ({ 'assoc-id': await association() }), absent: absentAssociation,
  },
  'describe-role-am-assoc': {
    fields: async () => ({ 'assoc-id': await association() }), absent: absentAssociation,
  },
  'describe-permissions': { fields: () => ({ path: '/a', type: 'item' }) },
  'reverse-rbac': { fields: () => ({ path: '/a', type: 'item' }) },
  'create-secret': { fields: () => ({ name: fresh('secret'), value: 'v' }), twice: true },
  'get-secret-value': {
    fields: async () => ({ names: [await secret()] }), absent: { names: ['/conformance/absent'] },
  },
  'update-secret-val': {
    fields: async () => ({ name: await secret(), value: 'new' }), absent: absentName,
  },
  'update-item': {
    fields: async () => ({ name: await secret(), description: 'new' }), absent: absentName,
  },
  'describe-item': { fields: async () => ({ name: await secret() }), absent: absentName },
  'get-tags': { fields: async () => ({ name: await secret() }), absent: absentName },
  'delete-item': { fields: async () => ({ name: await secret() }), absent: absentName },
  'lock-item': {
    fields: async () => ({ name: await secret(), actions: 'read' }), absent: absentName,
  },
  'unlock-item': { fields: async () => ({ name: await secret() }), absent: absentName },
  'list-items': { fields: () => ({}) },
  'delete-targets': {
    fields: async () => {
      const path = fresh('folder');
      await act('target-create-web', { name: `${path}/a`, url: 'https://example.org' });
      return { path };
    },
  },
  'delete-items': {
    fields: async () => {
      const path = fresh('folder');
      await act('create-secret', { name: `${path}/a`, value: 'v' });
      return { path };
    },
  },
  'move-objects': {
    fields: async () => {
      const source = fresh('from');
      await act('create-secret', { name: `${source}/a`, value: 'v' });
      return { source, target: fresh('to') };
    },
    absent: { source: '/conformance/absent' },
  },
  'rollback-secret': {
    fields: async () => {
      const name = await secret('old');
      await act('update-secret-val', { name, value: 'new', 'keep-prev-version': 'true' });
      return { name, 'old-version': 1 };
    },
    absent: absentName,
  },
  'set-item-state': {
    fields: async () => ({ name: await secret(), 'desired-state': 'Disabled' }),
    absent: absentName,
  },
  'folder-create': { fields: () => ({ name: fresh('folder') }), twice: true },
  'folder-update': {
    fields: async () => ({ name: await folder(), description: 'new' }), absent: absentName,
  },
  'folder-get': { fields: async () => ({ name: await folder() }), absent: absentName },
  'folder-delete': { fields: async () => ({ name: await folder() }), absent: absentName },
  'create-dfc-key': { fields: () => ({ name: fresh('key'), alg: 'AES256GCM' }), twice: true },
  'rotate-key': changingKey,
  'refresh-key': changingKey,
  encrypt: {
    fields: async () => ({ 'key-name': await sharedKey(), plaintext: 'message' }),
    absent: { 'key-name': '/conformance/absent' },
  },
  decrypt: { fields: encrypted, absent: { 'key-name': '/conformance/absent' } },
  'encrypt-batch': { fields: () => batch('message'), absent: { item_id: 2 ** 52 } },
  'decrypt-batch': { fields: () => batch(), absent: { item_id: 2 ** 52 } },
  'gateway-download-customer-fragments': { fields: () => ({}) },
  'gateway-list-customer-fragments': { fields: () => ({}) },
  'get-account-settings': { fields: () => ({}) },
  'get-analytics-data': { fields: () => ({}) },
  'update-account-settings': { fields: () => ({ 'company-name': 'Conformance' }) },
};
