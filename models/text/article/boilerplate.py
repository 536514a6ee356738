"""Boilerplate that web pages add to articles, by kind, recognized by wording and by element.

Patterns are short and general, in the languages whose pages were studied; none is for one site. A match of
`KINDS` is a hint, which `paste` weighs with the surrounding lines and `html_article` with the surrounding
elements; a line that `find_boilerplate` matches is dropped in any case.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lxml import etree

_NETWORKS = (
    r"facebook|twitter|instagram|linked ?in|whats ?app|telegram|pinterest|reddit|tumblr|google ?(?:\+|plus)"
    r"|flipboard|pocket|messenger|viber|skype|vk(?:ontakte)?|вконтакте|одноклассники|odnoklassniki|xing|digg"
    r"|stumbleupon|blogger|snapchat|tiktok|threads|mastodon|bluesky|youtube|kakao\w*|weibo|微博|微信|x\.com"
    r"|rss|flickr|vimeo|discord|트위터|페이스북"
)
_SHARING = (
    r"shares?|sharing|tweets?|pin|pin it|e-?mail(?: me)?|mail|print|copy(?: link)?|link|save|likes?|bookmark"
    r"|send|follow|subscribe|comment|via|on|to|this|with|by|and|story|article|post|page|friends|us|it|a|the"
    r"|all|options?|more|flip|teilen|drucken|merken|auf|per|partager|imprimer|envoyer|sur|par|compartir"
    r"|imprimir|enviar|en|por|compartilhe?|compartilhar|no|condividi|stampa|invia|su|поделиться|печать"
    r"|отправить|в|на|공유|공유하기|인쇄|인쇄하기|목록|分享|打印|シェア|ツイート|印刷|共有|bagikan|cetak"
    r"|مشاركة|شارك|طباعة|delen|deel|artikel|afdrukken|dela|del|paylaş|yazdır|udostępnij|drukuj|copiar|enlace"
    r"|copier|lien|kopieren"
)
_MONTHS = (
    r"jan(?:uary|uar|vier|eiro|uari)?|feb(?:ruary|ruar|brero|braio|ruari)?|fév(?:rier)?|fevereiro|mar(?:ch|s"
    r"|zo|ço|et)?|märz|apr(?:il|ile)?|avr(?:il)?|abr(?:il)?|ma[iy]|mayo|maggio|maio|mei|june?|juni|juin|junio"
    r"|junho|giugno|july?|juli|juillet|julio|julho|luglio|aug(?:ust)?|août|agosto|agustus|sept?(?:ember|embre"
    r"|iembre)?|setembro|settembre|o[ck]t(?:ober|obre|ubre)?|outubro|ottobre|nov(?:ember|embre|iembre|embro)?"
    r"|de[csz](?:ember|embre|iembre|embro)?|déc(?:embre)?|dic(?:iembre|embre)?|январ[ья]|феврал[ья]|марта?"
    r"|апрел[ья]|ма[йя]|июн[ья]|июл[ья]|августа?|сентябр[ья]|октябр[ья]|ноябр[ья]|декабр[ья]"
)
_AGO = r"\d+ (?:seconds?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|years?) ago"
_NUMERIC_DATE = r"\d{1,4}[./-]\d{1,2}[./-]\d{2,4}"

_PATTERNS = {
    # Atomic groups: "pin it" is also "pin" and "it", "1.5" also "1" and "5", and a line of such would be
    # tried in all ways, of which there are 2 to the power of their number.
    "share buttons": rf"^\W*+(?>(?:{_NETWORKS}|{_SHARING}"
    r"|\d++(?:[.,]\d++)?+k?+)\b\W*+)++$|^(?:click to )?(?:share|tweet|pin|email|teilen|partager|compartir"
    r"|compartilh\w+|condivid\w+|поделиться|udostępnij|deel)\b"
    rf"(?=.{{0,60}}$)(?:.*\b(?:{_NETWORKS}|e-?mail|this|friends?|story|article|post|page|link)\b|\s*:?$)"
    r"|^.{0,30}\b(?:['’]?(?:ta|da|te|de) paylaş|(?:を)?シェア(?:する)?)$|^print (?:this|article|page|story)"
    r"|^(?:copy|get) (?:short |the )?(?:link|url)",
    "call to action": r"\b(?:subscribe|subscription|newsletters?|sign(?:ing)? up|inbox|unsubscribe|abonnieren"
    r"|abonnez|suscr[ií]b\w+|bolet[ií]n|iscriviti|assine|inscreva|подпи[сш]\w+|рассылк\w+|berlangganan"
    r"|abone ol|abonneer|inschrijven|zapisz się|prenumerera|apúntate|apuntarte|receba notícias|cadastre-se)\b"
    r"|订阅|購読|구독|اشترك|\bclick (?:on )?(?:the |this )?(?:links?|here|below|to|image)\b|^(?:watch|see"
    r"|listen to|view) (?:the |our |more )?(?:videos?|podcast|gallery|slideshow|full)\b|\b(?:follow|like|join"
    r"|find|visit|connect with|contact|email|support|tell|add|write to) (?:us|our|me)\b|\b(?:download|get"
    r"|install|try) (?:the|our) .{0,25}\bapp\b|\b(?:donate|become a (?:member|patron|subscriber)"
    r"|support (?:our|independent|quality)|make a (?:gift|donation|contribution)|free trial|join (?:now|today"
    r"|free)|learn more|find out more|register (?:now|free|today|for)|get started|(?:buy|order|shop) now"
    r"|don['’]t miss|stay (?:up to date|informed|tuned|connected)|delivered (?:to|straight)|continue reading"
    r"|full story|get (?:the )?(?:latest|day's|best|daily|breaking|our|access|alerts|more)|(?:have|got) (?:a"
    r"|your) (?:tip|story))\b|\b(?:folgen sie|folge uns|hier klicken|suivez|cliquez|s[ií]guenos|haz clic"
    r"|haga clic|siga|clique aqui|seguici|clicca|receba|нажмите|подробнее|volg ons|klik hier|dołącz do"
    r"|kliknij)\b|点击|关注|クリック|フォロー|클릭|팔로우|تابعنا|اضغط",
    "reply form": r"^\W*(?:leave a (?:reply|comment)|cancel reply|post (?:a )?comment|add (?:a "
    r"|your )?comment|write a comment|submit(?: comment)?|reply|(?:your )?(?:full |first |last )?(?:name"
    r"|e-?mail(?: address)?|website|message|comment)s?(?: \(?(?:required|optional)\)?)?\s*\*?:?"
    r"|required fields.*|notify me.*)\W*$|\be-?mail address will not be\b|\bsave my name\b"
    r"|\brequired fields\b|\bmust be logged in\b|\blog ?in to (?:comment|reply|leave|post)"
    r"|^(?:schreiben? sie einen? kommentar|kommentar (?:schreiben|hinterlassen)|laisser un commentaire"
    r"|deja un comentario|deixe (?:um|seu) coment|lascia un commento|оставить комментарий"
    r"|добавить комментарий|コメントを|发表评论|اترك تعليق)",
    "comments": r"^\W*(?:\(?\d[\d,.]* ?)?(?:comments?|replies|responses?|kommentare?|commentaires?"
    r"|coment[aá]rios?|commenti|комментари\w*|评论|コメント|댓글|komentar|تعليقات?|reageren|reacties"
    r"|komentarze|yorum(?:lar)?|kommentarer|réactions?|vos réactions)(?: ?\(?\d+\)?| off| closed| below"
    r"| section)?\W*$|^(?:view|show|see|read|load|hide|all|top|recent|latest|no|sort"
    r"|most)\b.{0,20}\bcomments?\b.{0,15}$|\b(?:join|start) the (?:conversation|discussion|debate)\b"
    r"|\bcomments (?:are|have been|will be|on this)\b|\b(?:community|comment|commenting"
    r"|submission) (?:guidelines|policy|rules)\b|\b\w* says:$|^(?:\d+ )?(?:reply|like|upvote|report|permalink"
    r"|votes?|score|rating)\b.{0,12}$|\bwhat do you think\b|\b(?:let us know|tell us).{0,30}\b(?:comments?"
    r"|below|think)\b",
    "related links": r"^\W*(?:related|read(?: more| next| also| this| the (?:full|whole|rest)| on| full|:)"
    r"|also (?:read|see|on|watch)|see (?:also|more|all)|more (?:from|on|in|stories|news|about|by|like|to|top)"
    r"|you (?:may|might|['’]ll|will)(?: also)? (?:like|enjoy|love|be interested)|recommend(?:ed)?|suggested"
    r"|trending|most (?:read|popular|viewed|shared|recent|commented|watched)|popular|don['’]t miss|up next"
    r"|what to read next|(?:previous|next|prev|older|newer)(?: (?:post|article|story|entry|page)s?)?\W*$"
    r"|editor['’]?s['’]? (?:picks?|choice)|top (?:stories|news|posts|videos|headlines|picks)|latest"
    r"|recent (?:posts|stories|articles|news)|in (?:this|other) (?:section|story|news)|explore|featured"
    r"|from (?:the|our|around) (?:web|archive|partners)|other (?:stories|news|articles)|further reading"
    r"|keep reading|if you (?:liked|enjoyed)|lies auch|lesen sie|lees (?:ook|verder|meer)|meer (?:over"
    r"|nieuws)|meest gelezen|czytaj|zobacz (?:też|także)|przeczytaj|[iİ]lgili haber|bunlar da|läs (?:också"
    r"|mer|även)|les også|læs også|más información|archivado en|sigue leyendo|i più letti|per approfondire"
    r"|mehr lesen|mehr (?:zum|aus|von|zu)|weitere|meistgelesen|das könnte|lire aussi|à lire|voir aussi"
    r"|sur le même sujet|les plus|lea también|le puede|te puede|más (?:leído|noticias)|relacionad\w+"
    r"|leia (?:também|mais)|mais (?:lidas|notícias)|veja (?:também|mais)|artigos|leggi anche|potrebbe"
    r"|più letti|читайте также|смотрите также|по теме|похожие|相关|推荐|热门|関連|おすすめ|人気"
    r"|あわせて読みたい|관련|추천|많이 본|baca juga|terkait|اقرأ|ذات صلة)",
    "page navigation": r"^\W*(?:home|home ?page|menu|main menu|search\b.{0,20}|(?:skip|jump) to\b.*"
    r"|sign (?:in|out)|log ?(?:in|out)|register|my account|account|about(?: us)?|contact(?: us)?|help|faqs?"
    r"|careers|jobs|advertise\b.*|advertising|site ?map|archives?|back\b.{0,20}|(?:return|back"
    r"|scroll) to (?:top|home\w*)|toggle\b.*|close|open|expand|show(?: more| less)?|load more|more|(?:view"
    r"|see) all|next|previous|prev|sections?|topics?|categor(?:y|ies)|editions?|language|settings|preferences"
    r"|feedback|press|feeds?|podcasts?|videos?|photos?|gallery|live|breaking(?: news)?|news|sports?|opinion"
    r"|politics|business|tech(?:nology)?|entertainment|lifestyle|culture|world|weather|follow(?:ing)?"
    r"|edit profile|loading\b.*|ok|got it|accept|dismiss|play|pause|mute|startseite|suche|impressum|kontakt"
    r"|anmelden|accueil|rechercher|connexion|inicio|buscar|contacto|início|contato|pesquisar|cerca|contatti"
    r"|accedi|главная|поиск|войти|контакты|s['’]abonner|se connecter|s['’]identifier|aller au contenu"
    r"|ir (?:para o|al) conte(?:ú|ni)do|iniciar sesión|suscríbete|abbonati|inloggen|zoeken|anasayfa|gündem"
    r"|giriş yap|szukaj|zaloguj się|logga in|ニュース一覧.*|меню|首页|登录|搜索|ホーム|検索|ログイン|홈|검색"
    r"|로그인|메뉴|beranda|الرئيسية|بحث|terms\b.{0,30}|privacy\b.{0,30}|accessibility\b.{0,20}"
    r"|cookies?\b.{0,20}|do not sell.*|ad ?choices|your (?:california|privacy|ad)\b.*|datenschutz.*|agb"
    r"|mentions légales|aviso legal)\W*$|.\s[»›→]\s.*\s[»›→]\s|^\W*home\s*[»›>/|]",
    "cookie banner": r"\bcookies\b|\b(?:privacy (?:policy|notice|statement)|terms (?:of|and) (?:use|service"
    r"|conditions)|user agreement|gdpr|personal data|datenschutz\w*|nutzungsbedingungen"
    r"|politique de confidentialité|política de privaci\w+|recaptcha)\b",
    "copyright note": r"©|ⓒ|\(c\) ?(?:19|20)\d\d|\bcopyright\b|\ball rights reserved\b|\b(?:may"
    r"|must) not be (?:published|reproduced|copied|broadcast|distributed|used)\b|\bregistered trademarks?\b"
    r"|\b(?:alle rechte vorbehalten|tous droits|todos los derechos|todos os direitos|tutti i diritti"
    r"|все права)\b|版权所有|無断転載|무단전재|저작권|حقوق النشر",
    "caption": r"^\W*(?:images?|photos?|pictures?|video|illustration|graphic|credits?|foto|fotos|bild"
    r"|immagine|imagen|imagem|фото|图片|写真|사진|(?:media ?)?caption|file photo)(?: (?:by|credits?|via"
    r"|copyright|caption|illustration|courtesy|gallery|source|\d+))*\b\W*(?::|by|\||©|/|via|from|courtesy|\d"
    r"|$)|^(?:image|media) ?(?:caption|copyright)|\b(?:getty(?: images)?|shutterstock|istock|unsplash"
    r"|ap photo|afp|file photo|pool photo|stock photo|press association|pa wire|wireimage|alamy"
    r"|picture alliance|imago|xinhua|epa)\b[^.]{0,40}\)?$|\((?:photo|image|credit|foto|ap|picture|bild"
    r"|video)\b|\b(?:photo|image|picture|photograph|illustration|screenshot|courtesy|credit)s?(?: ?:| by| via"
    r"| from| courtesy)\b.{0,60}$|\b\w+/(?:ap|afp|reuters|getty|epa)\b",
    "byline": r"^\W*(?:by|von|par|por|di|da|от|автор:?|written by|posted by|reviewed by|reported by"
    r"|published by|text:|author:?|words:|story by)\s+\w.{0,60}$|^.{0,40}\b(?:reporter|correspondent"
    r"|staff writer|contributor|columnist|기자|記者|记者)\W*$|\b\d+[ -]?min(?:ute)?s?(?: read|\.? to read"
    r"|\. lesezeit)\b|^\W*(?:published|updated|posted|last (?:updated|modified|edited)|first published"
    r"|veröffentlicht|aktualisiert|publié|mis à jour|publicado|actualizado|atualizado|pubblicato|aggiornato"
    r"|опубликовано|обновлено|发布|更新|公開|기사입력|입력|수정)\b.{0,60}$",
    "advertisement": r"^\W*(?:advertis\w+|advert|ads?|sponsored|promoted|paid (?:content|post|partner)"
    r"|anzeige|werbung|publicité|publicidade?|pubblicità|реклама|广告|広告|광고|iklan|إعلان)\b.{0,25}$"
    r"|\bscroll (?:down )?(?:to|for)\b|\b(?:story|article) continues\b|\baffiliate (?:links?|commission"
    r"|partner)",
    "author box": r"^\W*about (?:the |this )?(?:authors?|writer|contributor)\b"
    r"|^about [^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,4}?\s+\d+ (?:articles|posts)\b|^\W*(?:über (?:den|die) autor"
    r"|à propos de l|sobre (?:el|la|o|a)? ?autor|об авторе)|\b(?:is|was) (?:an?|the|our)\b.{0,60}\b(?:writer"
    r"|journalist|reporter|editor|author|columnist|correspondent|blogger|contributor|freelancer|producer"
    r"|fellow)\b|\b(?:writes|covers|blogs|tweets|edits) (?:about|on|for|from|at)\b|\bfollow (?:him|her|them"
    r"|me)\b|\b(?:can be|reach|contact|email) (?:reached|him|her|them|contacted)\b.{0,20}(?:at|via|on|@)"
    r"|\bview all posts\b|\b(?:more|all) (?:articles|posts|stories) (?:by|from) ",
    "disclaimer": r"^\W*(?:disclaimer|disclosure|haftungsausschluss)\b|\b(?:views"
    r"|opinions)\b.{0,40}\b(?:expressed|are (?:those|their|solely))\b"
    r"|\bdo(?:es)? not (?:necessarily )?(?:reflect|represent|constitute)\b|\b(?:originally"
    r"|first) (?:published|appeared|posted)\b|\b(?:informational|educational) purposes\b|\bthis (?:site"
    r"|website|page|blog)\b|\bour (?:site|website|readers|partners|newsroom|journalism|app|channel)\b",
    "source link": r"^\W*(?:source|via|sources|quelle|fuente|fonte|источник|来源|出典|출처|sumber|h/t"
    r"|المصدر)\b(?: (?:link|article|site|page|url))?\W{0,3}(?:.{0,40})$",
    "tags": r"^\W*(?:tags?|tagged(?: with| as)?|filed (?:under|to|in)|related topics|labels?|keywords?"
    r"|posted (?:in|on|under)|schlagw\w+|themen|mots[- ]clés|etiquetas|temas|теги|метки|标签|タグ"
    r"|태그)\b\W?.{0,120}$|^(?:#\w+[\s,]*)+$",
}
KINDS = {kind: re.compile(pattern, re.IGNORECASE) for kind, pattern in _PATTERNS.items()}

LINK_MARK = re.compile(
    r"^\W*(?:related|also (?:read|see|watch)|see also|read (?:more|also|next|this)|watch|recommended"
    r"|don['’]t miss|lesen sie auch|lies auch|lire aussi|lea también|lee también|leia (?:também|mais)"
    r"|veja também|leggi anche|читайте также|смотрите также|baca juga|相关|関連)\s*[:：]"
    r"|^\W*also on \S+\.\w+\b",
    re.IGNORECASE,
)
"""The start of a line that leads to another article."""

DATE = re.compile(
    rf"\b(?:{_MONTHS})\b\.?|\b{_NUMERIC_DATE}\b|\d{{4}}年(?:\d+月\d+日)?|\b\d{{1,2}}:\d{{2}}\b|\b{_AGO}\b",
    re.IGNORECASE,
)
BESIDE_DATE = re.compile(
    r"\d+|\b(?:[A-Z]{2,4}|(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?|[ap]\.?m|at|on|the"
    r"|de|um|uhr|by|posted|published|updated|last|le|to|st|nd|rd|th)\b|[^\w]+"
)
"""Words beside a date, in a line that says when and no more."""

OF_PAGES = re.compile(
    r"\b(?:articles?|posts?|site|website|page|blog|newsletters?|inbox|e-?mails?|subscri\w+|account|password"
    r"|log ?in|sign|click|links?|comments?|cookies?|privacy|terms|policy|browser|app|online|advertis\w*|ads"
    r"|sponsor\w*|partners?|content|readers?|editors?|editorial|journalis\w+|reporter|writer|authors?"
    r"|columnist|publish\w*|copyright|rights|reserved|permission|follow|share|like|join|free|offers?|updates?"
    r"|alerts?|notifications?|latest|stories|story|read|photo|image|getty|video|podcast|facebook|twitter"
    r"|instagram|youtube|contact|support|donat\w+|members?(?:hip)?|feedback|corrections?|disclaimer|views"
    r"|opinions?|expressed|our|your|you|we|us)\b",
    re.IGNORECASE,
)
"""Words that pages use of themselves and of their readers."""

_TAGS = {
    "nav": "navigation",
    "footer": "page footer",
    "aside": "aside",
    "form": "form",
    "figcaption": "caption",
    "dialog": "dialog",
    "address": "address",
}
_ROLES = {
    "navigation": "navigation",
    "banner": "navigation",
    "complementary": "aside",
    "contentinfo": "page footer",
    "search": "form",
    "dialog": "dialog",
}
_NAMES = {
    "comments": r"comments?|disqus|respond",
    "related links": r"related|recirc\w*|recommend\w*|read-?more|more-?on|most-?(?:read|popular|viewed)"
    r"|popular|trending|outbrain|taboola|teasers?|see-?also|further|next-?(?:post|article)|prev(?:ious)?"
    r"|inline-?links?|sidebar\w*|similar|linked",
    "share buttons": r"shar(?:e|ing|ed?daddy)\w*|social\w*|addthis\w*|follow\w*|likes?|sns",
    "subscription box": r"newsletters?\w*|subscri\w+|sign-?up|cta|paywall|membership|promo\w*|donat\w*|abo"
    r"|piano",
    "author box": r"author-?(?:bio|box|info|card|details)|about-?author|bio|contributors?",
    "byline or date": r"byline|dateline|post-?(?:meta|info)|entry-?meta|article-?meta|meta|timestamp"
    r"|pub-?date|published|reading-?time|read-?time",
    "tags": r"(?:tag-?(?:list|links|cloud)|tags?|categor(?:y|ies)|topics?|keywords?|tagged|hashtags?)(?!-)",
    "caption": r"(?:wp-)?caption\w*|credits?|photo-?credit|copyright|gallery\w*|slideshow|carousel|lightbox"
    r"|image-?info|media-?info",
    "advertisement": r"ads?|advert\w*|sponsor\w*|ad-?(?:slot|unit|wrapper|container)(?!-disclaimer)|banner",
    "navigation": r"nav\w*|menu\w*|breadcrumbs?|pagination|pager|toolbar|skip-?links?|toc|table-of-contents",
    "page footer": r"footer|foot|legal|print-?only|noprint|cookie\w*|consent",
    "player or widget": r"players?|video-?\w*|audio-?player|widget\w*|poll|quiz",
}
_NAMED = [
    (reason, re.compile(rf"(?:^|[\s_-])(?:{pattern})(?=$|[\s_-])", re.IGNORECASE))
    for reason, pattern in _NAMES.items()
]
_WHOLES = frozenset(("article", "main"))
_WHOLE_KINDS = frozenset(("comments", "related links"))
"""An article's other names, such as of its tags and status, tell of its subject or of its parts."""
_MOST_NAME_CHARACTERS = 1000
"""The longest class or id that is looked at; a longer one names nothing."""
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


def element_reason(element: etree._Element) -> str | None:
    """Return the kind of boilerplate that the element is marked as, or None."""
    reason = _TAGS.get(element.tag) or _ROLES.get((element.get("role") or "").lower())
    if reason is not None:
        return reason
    names = ((element.get(key) or "")[:_MOST_NAME_CHARACTERS] for key in ("class", "id"))
    return _named_reason(" ".join(names), whole=element.tag in _WHOLES)


@lru_cache(maxsize=4096)  # pages give many elements one name
def _named_reason(name: str, *, whole: bool) -> str | None:
    name = _HUMP.sub("-", name)
    kinds = (reason for reason, pattern in _NAMED if pattern.search(name))
    return next((kind for kind in kinds if not whole or kind in _WHOLE_KINDS), None)


class Around(NamedTuple):
    """What a block takes from the elements around it: kinds of boilerplate, and whether it is quoted."""

    outermost: str | None = None
    innermost: str | None = None
    quoted: bool = False


def look_around(path: Sequence[etree._Element], known: dict[etree._Element, Around]) -> Around:
    """Read a path's elements from the outermost on; `known` keeps each for all paths that begin alike."""
    new = []
    found = Around()
    for element in reversed(path):
        if element in known:
            found = known[element]
            break
        new.append(element)
    for element in reversed(new):
        reason = element_reason(element)
        quoted = found.quoted or element.tag == "blockquote"
        found = known[element] = Around(found.outermost or reason, reason or found.innermost, quoted)
    return found


_WORD = re.compile(r"\w+")
_QUOTED = re.compile(r"\"[^\"]*\"|“[^“”]*”|«[^«»]*»|„[^„“”]*[“”]")
_MOST_CHARACTERS = 1000
_AUTHOR_HEADING = re.compile(
    r"^about (?:the )?(?:author|(?P<name>[^\W\d_][\w.'’-]*(?: [\w.'’-]+){0,4}?)\s+\d+ (?:articles|posts))\b",
    re.IGNORECASE,
)
_ABOUT_A_WRITER = re.compile(
    r"\b(?:writer|journalist|reporter|editor|author|columnist|correspondent|blogger|writes|covers)\b", re.I
)
_RULES = {
    "call to action": (
        r"click (?:on )?(?:the |this )?(?:link|here|below)|(?:visit|follow|like) (?:us|our) (?:on |\w+ page)"
        r"|(?:^|[.!?:,–-] ?|\b(?:please|you|and|or|to|now|can) )(?:subscribe|sign up) (?:to|for) (?:our"
        r"|the)\b.{0,1000}newsletter",
        45,
    ),
    "related links": (LINK_MARK.pattern, 30),
    "share buttons": (r"^\W*(?:click to )?(?:share|tweet|pin) (?:this|on|via|it)\b[^.,]{0,40}$", 8),
    "advertisement": (
        r"^\W*(?:advert|advertisement|advertising|sponsored(?: content)?|anzeige|werbung|publicité"
        r"|publicidade?|pubblicità|реклама|广告|広告|광고|iklan|إعلان)\W*$",
        2,
    ),
    "caption": (
        r"^(?:photo|image|picture|foto|bild)(?: (?:credit|caption|copyright))?\s*:|^(?:photo|image) (?:by"
        r"|courtesy|credit|caption|copyright|via)\b|^media ?caption",
        25,
    ),
    "credit": (
        r"^\((?:additional )?(?:reporting|writing|editing|compiled|translated)\b.{0,30}\bby\b.*\)$"
        r"|^(?:additional )?(?:reporting|writing) by\b[^.]{3,200};.*\bediting by\b|^editing by [^.]{3,80}$"
        r"|^a version of this (?:article|story) appear(?:s|ed) in print\b",
        60,
    ),
    "disclaimer": (
        r"\b(?:opinions|views) expressed (?:here|in this (?:article|column|piece|post))\b.{0,40}\bare\b"
        r"|\bwe (?:may|might) (?:earn|receive|get) (?:an? )?(?:small )?(?:affiliate )?commission",
        45,
    ),
    "source link": (r"^\W*(?:source|via)(?: link)?\W*$", 3),
    "author box": (_AUTHOR_HEADING.pattern, 12),
    "reply form": (
        r"^(?:leave a (?:reply|comment)|cancel reply|post comment"
        r"|your email address will not be published)\b",
        25,
    ),
    "cookie banner": (r"\b(?:we|this (?:site|website)) uses? cookies\b|^accept (?:all )?cookies$", 60),
}
"""Wording that no article has in a line of at most so many words. The rules are cautious: a leftover line
costs a reader less than a lost sentence."""
_LINE_RULES = [
    (reason, re.compile(pattern, re.IGNORECASE), most_words)
    for reason, (pattern, most_words) in _RULES.items()
]
_LED_BY = ("related links", "author box")
"""Kinds that a line's beginning tells, in quotation marks too."""


def plain_words(text: str) -> list[str]:
    """The words of a text for comparing: case folded, without punctuation."""
    return _WORD.findall(text.casefold())


def find_boilerplate(lines: Sequence[str]) -> dict[int, str]:
    """The reason for each line, by its number, that the article does without whatever stands around it."""
    found = ((i, _line_reason(lines[i], lines[i - 1] if i else "")) for i in range(len(lines)))
    return {i: reason for i, reason in found if reason is not None}


def _line_reason(line: str, previous: str) -> str | None:
    size = len(plain_words(line))
    short = line if len(line) <= _MOST_CHARACTERS else ""
    unquoted = _QUOTED.sub(" ", short)
    for reason, pattern, most_words in _LINE_RULES:
        if size <= most_words:
            if reason in _LED_BY:
                found = pattern.match(line)
            else:
                found = pattern.search(short) and pattern.search(unquoted)
            if found:
                return reason
        if reason == "author box" and _is_under_author_heading(line, previous):
            return reason
    return None


def _is_under_author_heading(line: str, previous: str) -> bool:
    heading = _AUTHOR_HEADING.match(previous)
    if heading is None:
        return False
    if heading["name"] is None:
        return _ABOUT_A_WRITER.search(line) is not None
    return plain_words(line)[:1] == plain_words(heading["name"])[:1]
