//! The scripts. What they are about is in `$d`; what they say is read by [`super::Script::heard`].

/// A script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Script {
    /// Makes the local user `name` with `password` in `groups`; once more: sets them again.
    Make,
    /// Ends the sessions of the user `name` and removes it.
    Remove,
    /// Lets the user `name`, who is there, in with `password` for the lease `mark`.
    Lend,
    /// Ends that, unless somebody else was let in as the same user since: sets `password`, which
    /// nobody knows, and lets nobody in.
    Return,
    /// Sets the password of the user `name` to `new`.
    Set,
    /// The same by whom it is of, whose password is `old`.
    Change,
}

/// Reads the input. PowerShell itself reads it, and gives it as `$input`.
const BEGIN: &str = "\
$ErrorActionPreference='Stop'
$ProgressPreference='SilentlyContinue'
function say($t){[Console]::Out.WriteLine('keysherd '+$t)}
function find($n){Get-LocalUser|Where-Object{$_.Name -eq $n}}
try{
$b=[Convert]::FromBase64String((-join @($input)).Trim())
$d=[Text.Encoding]::UTF8.GetString($b)|ConvertFrom-Json
";

const END: &str = "
say 'done'
}catch{
$e=$_.Exception.GetBaseException()
say ('refused {0} {1:X8}' -f $_.FullyQualifiedErrorId,$e.HResult)
}
";

/// Puts the user `$u` into the groups, by name or by security identifier.
const JOIN: &str = "
foreach($g in @($d.groups)){
$a=@{Member=$u}
if($g -like 'S-1-*'){$a.SID=$g}else{$a.Group=$g}
try{Add-LocalGroupMember @a}catch{if($_.FullyQualifiedErrorId -notlike 'MemberExists*'){throw}}
}
";

/// Ends the sessions of the user. Without Remote Desktop there is no `quser`, and no session. What
/// is thrown is not seen where errors are silent.
const LEAVE: &str = "
$left=& {
$ErrorActionPreference='SilentlyContinue'
function ids{foreach($l in @(quser.exe 2>$null)){
if($l -match '^[ >]*(\\S+)\\s+(?:\\S+\\s+)??(\\d+)\\s' -and $Matches[1] -eq $d.name){$Matches[2]}}}
foreach($i in @(ids)){[void](logoff.exe $i 2>$null)}
@(ids).Count
}
if($left){throw 'SessionsStay'}
";

const MAKE: &str = "
$s=ConvertTo-SecureString $d.password -AsPlainText -Force
$u=find $d.name
if($u){Set-LocalUser -InputObject $u -Password $s}
else{$u=New-LocalUser -Name $d.name -Password $s -AccountNeverExpires -PasswordNeverExpires \
-UserMayNotChangePassword}
";

const REMOVE: &str = "
$u=find $d.name
if($u){
Disable-LocalUser -InputObject $u
";

const LEND: &str = "
$s=ConvertTo-SecureString $d.password -AsPlainText -Force
$u=find $d.name
if(!$u){throw 'NoSuchUser'}
Set-LocalUser -InputObject $u -Description $d.mark
Set-LocalUser -InputObject $u -Password $s
Enable-LocalUser -InputObject $u
";

const RETURN: &str = "
$s=ConvertTo-SecureString $d.password -AsPlainText -Force
$u=find $d.name
if($u -and $u.Description -eq $d.mark){
Disable-LocalUser -InputObject $u
Set-LocalUser -InputObject $u -Password $s
foreach($g in @($d.groups)){
$a=@{Member=$u}
if($g -like 'S-1-*'){$a.SID=$g}else{$a.Group=$g}
try{Remove-LocalGroupMember @a}catch{
if($_.FullyQualifiedErrorId -notmatch '^(MemberNotFound|GroupNotFound)'){throw}}
}
";

const SET: &str = "
$u=find $d.name
if(!$u){throw 'NoSuchUser'}
Set-LocalUser -InputObject $u -Password (ConvertTo-SecureString $d.new -AsPlainText -Force)
";

const CHANGE: &str = "
([ADSI]('WinNT://./'+$d.name+',user')).ChangePassword($d.old,$d.new)
";

impl Script {
    /// Its text.
    pub(super) fn text(self) -> String {
        let parts: &[&str] = match self {
            Self::Make => &[MAKE, JOIN],
            Self::Remove => &[REMOVE, LEAVE, "Remove-LocalUser -InputObject $u}"],
            Self::Lend => &[LEND, JOIN],
            Self::Return => &[RETURN, LEAVE, "Set-LocalUser -InputObject $u -Description ''}"],
            Self::Set => &[SET],
            Self::Change => &[CHANGE],
        };
        [&[BEGIN], parts, &[END]].concat().concat()
    }
}

/// All of them.
#[cfg(test)]
pub(super) const ALL: [Script; 6] =
    [Script::Make, Script::Remove, Script::Lend, Script::Return, Script::Set, Script::Change];
