#!/bin/bash
# A root file system with glibc, busybox and a Java runtime, for an image where no registry offers a base image.
# The packages come from wherever apt of this Debian or Ubuntu gets them, and are only unpacked: no chroot, no mounts.
# usage: rootfs.sh DIRECTORY
set -euo pipefail

root=${1:?where to}
offered() { apt-cache policy "$1" | grep Candidate: | grep -qv '(none)'; }
java=openjdk-17-jre-headless
offered "$java" || java=openjdk-21-jre-headless # Debian 13
packages=(busybox-static libc6 libgcc-s1 libstdc++6 "$java" zlib1g)

downloads=$(mktemp -d)
trap 'rm -rf "$downloads"' EXIT
chmod 755 "$downloads"
(cd "$downloads" && apt-get -qq -o APT::Sandbox::User=root download "${packages[@]}")
for package in "$downloads"/*.deb; do
  dpkg-deb --extract "$package" "$root"
done

# newer packages hold usr/bin only and leave it to another one to say that this is bin
for place in bin lib lib64 sbin; do
  [ -e "$root/$place" ] || { mkdir -p "$root/usr/$place" && ln -s "usr/$place" "$root/$place"; }
done
mkdir -p "$root"/{dev,etc,home/appuser,opt,proc,root,sys,tmp,usr/bin,usr/sbin,var/lib}
chmod 1777 "$root/tmp"
# sh, sed, grep and the rest, where the packages brought nothing of that name
"$root/bin/busybox" --list-full | while read -r applet; do
  [ -e "$root/$applet" ] && continue
  mkdir -p "$root/$(dirname "$applet")"
  ln -s /bin/busybox "$root/$applet"
done
version=${java#openjdk-}
runtime=$(cd "$root" && echo usr/lib/jvm/java-"${version%%-*}"-openjdk-*)
ln -s "/$runtime" "$root/opt/java"
printf '%s\n' 'root:x:0:0::/root:/bin/sh' 'appuser:x:1000:1000::/home/appuser:/bin/sh' >"$root/etc/passwd"
printf '%s\n' 'root:x:0:' 'appuser:x:1000:' >"$root/etc/group"
printf '%s\n' 'hosts: files dns' >"$root/etc/nsswitch.conf"
rm -rf "$root"/usr/share/{bug,doc,gdb,lintian,locale,man} "$root"/usr/lib/*/gconv
