# Bash completion of oxvault. What can stand next is asked of the command itself, so this file knows
# no command and no option.

_oxvault()
{
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} words=() i word

    case $previous in
        --dir | --run | --libexec | --log)
            mapfile -t COMPREPLY < <(compgen -d -- "$current")
            compopt -o filenames
            return
            ;;
        --*file | --manifest | --output | -o | --key | --module | --checkpoint | --proof | --entry | --state)
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            compopt -o filenames
            return
            ;;
        --user)
            mapfile -t COMPREPLY < <(compgen -u -- "$current")
            return
            ;;
        --format)
            mapfile -t COMPREPLY < <(compgen -W 'jsonl csv ocsf ecs cef leef rfc5424 tiles' -- "$current")
            return
            ;;
        --date-order)
            mapfile -t COMPREPLY < <(compgen -W 'mdy dmy ymd' -- "$current")
            return
            ;;
        --outcome)
            mapfile -t COMPREPLY < <(compgen -W 'allowed denied failed' -- "$current")
            return
            ;;
        --mechanism)
            mapfile -t COMPREPLY < <(compgen -W 'aes-gcm aes-kwp rsa-oaep-sha256 aes-kwp-wrap ecdh rsa-oaep-sha1 rsa-pkcs1' -- "$current")
            return
            ;;
        --gcm-iv)
            mapfile -t COMPREPLY < <(compgen -W 'host hsm-writeback hsm-appended' -- "$current")
            return
            ;;
        --users)
            mapfile -t COMPREPLY < <(compgen -W 'roles none' -- "$current")
            return
            ;;
        --system)
            mapfile -t COMPREPLY < <(compgen -W 'netsuite oauth1' -- "$current")
            return
            ;;
        --kind)
            mapfile -t COMPREPLY < <(compgen -W 'oauth1 token-passport connect-password' -- "$current")
            return
            ;;
    esac
    # The command so far: one or two words, without options and the values of the global ones.
    for ((i = 1; i < COMP_CWORD && ${#words[@]} < 2; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            --dir | --run) ((i++)) ;;
            -*) ;;
            *) words+=("$word") ;;
        esac
    done
    # The second word belongs to the command only where the first is a group's.
    if [ "${#words[@]}" = 2 ] &&
        ! "$program" help --words "${words[0]}" 2>/dev/null | grep -qx -- "${words[1]}"; then
        words=("${words[0]}")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$("$program" help --words "${words[@]}" 2>/dev/null)" -- "$current")
    if [ "${#COMPREPLY[@]}" = 0 ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        compopt -o filenames
    fi
}

complete -F _oxvault oxvault
