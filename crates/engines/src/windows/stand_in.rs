//! A stand-in for Windows' PowerShell: it knows our scripts by their text and does with the users
//! of this machine what they would do with those of Windows. It shows what is sent where; what
//! Windows makes of the scripts it does not show.

use serde_json::json;

use super::{Script, scripts};

/// What the stand-in does. Every call adds a line to a file beside it: its arguments and its input.
const PROGRAM: &str = r#"#!/usr/bin/python3
import base64, fcntl, grp, json, os, pwd, subprocess, sys

def say(text):
    print('keysherd ' + text)
    sys.exit(0)

def run(*words, text=''):
    subprocess.run(words, input=text, text=True, check=True, stdout=subprocess.DEVNULL)

def named(group):
    group = 'desktop' if group == 'S-1-5-32-555' else group
    try:
        return grp.getgrnam(group).gr_name
    except KeyError:
        say('refused GroupNotFound,Microsoft.PowerShell.Commands.AddLocalGroupMember 80131501')

place = os.path.dirname(os.path.abspath(__file__))
lock = open(os.path.join(place, 'calls'), 'a')
fcntl.flock(lock, fcntl.LOCK_EX)
line = sys.stdin.read()
lock.write(json.dumps([sys.argv[1:], line]) + '\n')
lock.flush()
if sys.argv[1:4] != ['-NoProfile', '-NonInteractive', '-EncodedCommand']:
    sys.exit(1)
script = SCRIPTS[sys.argv[4]]
about = json.loads(base64.b64decode(line.strip()))
name = about['name']
print('#< CLIXML')

def user():
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None

def password():
    if about['password'] == 'refused' or len(about['password']) < 9:
        say('refused InvalidPassword,Microsoft.PowerShell.Commands.NewLocalUserCommand 80131501')
    run('chpasswd', text=name + ':' + about['password'] + '\n')

if script == 'Make':
    if not user():
        run('useradd', '--badname', '-M', '-s', '/bin/sh', name)
    password()
elif script == 'Remove':
    if user():
        if user().pw_gecos == 'busy':
            run('usermod', '-L', '-e', '1', name)
            say('refused SessionsStay 80131501')
        run('userdel', '-f', name)
elif script == 'Lend':
    if not user():
        say('refused NoSuchUser 80131501')
    run('usermod', '-c', about['mark'], name)
    password()
    run('usermod', '-e', '', name)
elif script == 'Return':
    if user() and user().pw_gecos == about['mark']:
        password()
        run('usermod', '-L', '-e', '1', '-c', '', name)
        for group in about['groups']:
            subprocess.run(['gpasswd', '-d', name, named(group)], capture_output=True)
else:
    sys.exit(1)
if script in ('Make', 'Lend'):
    for group in about['groups']:
        run('usermod', '-aG', named(group), name)
say('done')
"#;

/// The program.
pub(crate) fn program() -> String {
    let table: serde_json::Map<_, _> = scripts::ALL
        .iter()
        .map(|script| (encoded(*script), json!(format!("{script:?}"))))
        .collect();
    PROGRAM.replace("SCRIPTS[", &format!("{}[", json!(table)))
}

/// What of a script's command is the script.
pub(crate) fn encoded(script: Script) -> String {
    script.command().rsplit(' ').next().unwrap_or_default().to_owned()
}

/// The script of a command.
pub(crate) fn script_of(command: &str) -> Option<Script> {
    scripts::ALL.into_iter().find(|script| script.command() == command)
}
